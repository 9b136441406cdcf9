//! What must be true of every record, whatever was done: each function looks at the whole and names all that is wrong.

pub mod calls;
pub mod chain;
pub mod compare;
pub mod control;
mod row;
pub mod sessions;
pub mod table;
pub mod topic;

#[cfg(test)]
mod tests;

/// Collects what is wrong, so that one look shows all of it.
#[derive(Debug, Default)]
pub struct Wrong(Vec<String>);

impl Wrong {
    /// Adds a complaint.
    pub fn add(&mut self, complaint: impl Into<String>) {
        self.0.push(complaint.into());
    }

    /// Adds a complaint unless `fits`.
    pub fn unless(&mut self, fits: bool, complaint: impl FnOnce() -> String) {
        if !fits {
            self.add(complaint());
        }
    }

    /// Nothing, or all of it.
    ///
    /// # Errors
    /// When anything was added; quotes the first 20.
    pub fn verdict(self, what: &str) -> anyhow::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let shown: Vec<&str> = self.0.iter().take(20).map(String::as_str).collect();
        anyhow::bail!("{what}: {} complaints\n  {}", self.0.len(), shown.join("\n  "))
    }
}
