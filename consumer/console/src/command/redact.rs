//! `tapedeck redact`: what the built-in rules would do to a text, and a pack's own examples.

use std::fs;
use std::io::{self, IsTerminal as _, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use tapedeck_redact::{Config, Content, Context, Mark, Pack, Redactor};

use crate::text;

/// What to redact, and what to show of it.
#[derive(Debug, Args)]
pub(crate) struct What {
    /// Files to read; standard input without any, or as `-`.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Show what would go and why, in colour on a terminal, instead of what would be left.
    #[arg(long)]
    explain: bool,
    /// One JSON object for each finding: file, byte range, rule, description, replacement.
    #[arg(long, conflicts_with = "explain")]
    json: bool,
    /// A pack to use beside the built-in ones.
    #[arg(long, value_name = "PACK")]
    pack: Vec<PathBuf>,
    /// Run the examples of a pack, and nothing else.
    #[arg(long, value_name = "PACK", conflicts_with_all = ["files", "explain", "json", "pack"])]
    test: Option<PathBuf>,
}

/// Runs the command. The code is 1 where a file was dropped or an example fails.
pub(crate) fn run(what: &What, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    if let Some(path) = &what.test {
        return test(&pack(path)?, out);
    }
    let mut config = Config::default();
    for path in &what.pack {
        config.packs.push(pack(path)?);
    }
    let redactor = Redactor::new(config)?;
    let stdin = [PathBuf::from("-")];
    let files = if what.files.is_empty() { &stdin[..] } else { &what.files };
    let mut code = ExitCode::SUCCESS;
    for file in files {
        let bytes = read(file)?;
        if !show(what, &redactor, file, &bytes, out)? {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// False if the file would be dropped.
fn show(what: &What, redactor: &Redactor, file: &Path, bytes: &[u8], out: &mut impl Write) -> anyhow::Result<bool> {
    let context = Context {
        content: Content::Text,
        ..Context::default()
    };
    let marks = match redactor.marks(bytes, &context) {
        Ok(marks) => marks,
        Err(reason) => {
            writeln!(io::stderr(), "tapedeck: {}: dropped: {reason}", file.display())?;
            return Ok(false);
        }
    };
    if what.json {
        for mark in &marks {
            let finding = json!({
                "file": file.to_string_lossy(), "start": mark.range.start, "end": mark.range.end, "rule": mark.rule,
                "description": mark.description, "replacement": mark.replacement,
            });
            writeln!(out, "{finding}")?;
        }
    } else if what.explain {
        explain(bytes, &marks, io::stdout().is_terminal(), out)?;
    } else {
        let redacted = redactor.redact(bytes, &context);
        out.write_all(redacted.body().unwrap_or_default())?;
    }
    Ok(true)
}

/// Each line that has a finding, with its number and its findings; a finding of several lines at its first.
fn explain(bytes: &[u8], marks: &[Mark<'_>], colour: bool, out: &mut impl Write) -> io::Result<()> {
    let (red, bold, plain) = if colour {
        ("\x1b[31m", "\x1b[1m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    for mark in marks {
        let line = 1 + bytes[..mark.range.start].iter().filter(|byte| **byte == b'\n').count();
        let from = bytes[..mark.range.start]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let end = bytes[mark.range.end..].iter().position(|byte| *byte == b'\n');
        let to = end.map_or(bytes.len(), |at| mark.range.end + at);
        // Enough of the line to recognize it.
        let before = tail(&bytes[from..mark.range.start], 40);
        let after = head(&bytes[mark.range.end..to], 40);
        let found = head(&bytes[mark.range.clone()], 120);
        writeln!(out, "{bold}{line}{plain}: {before}{red}{found}{plain}{after}")?;
        writeln!(
            out,
            "    {bold}{}{plain}: {} → {}",
            mark.rule, mark.description, mark.replacement
        )?;
    }
    Ok(())
}

fn head(bytes: &[u8], most: usize) -> String {
    let all = String::from_utf8_lossy(bytes);
    let cut: String = all.chars().take(most).collect();
    let more = if cut.len() < all.len() { "…" } else { "" };
    format!("{}{more}", text::printable(&cut))
}

fn tail(bytes: &[u8], most: usize) -> String {
    let all = String::from_utf8_lossy(bytes);
    let skipped = all.chars().count().saturating_sub(most);
    let cut: String = all.chars().skip(skipped).collect();
    let more = if skipped > 0 { "…" } else { "" };
    format!("{more}{}", text::printable(&cut))
}

fn test(pack: &Pack, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let failures = pack.trial()?;
    for failure in &failures {
        writeln!(out, "{}:{failure}", pack.name)?;
    }
    if failures.is_empty() {
        writeln!(out, "{}: every example comes out as it says", pack.name)?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

fn pack(path: &Path) -> anyhow::Result<Pack> {
    let toml = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.display().to_string();
    Ok(Pack { name, toml })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{explain, head};
    use tapedeck_redact::{Config, Content, Context, Redactor};

    #[test]
    fn an_explanation_has_line_finding_rule_and_replacement() {
        let redactor = Redactor::new(Config::default()).expect("the built-in packs are sound");
        let text = b"first\nmail bob@example.com now\n";
        let context = Context {
            content: Content::Text,
            ..Context::default()
        };
        let marks = redactor.marks(text, &context).expect("it is not dropped");
        let mut out = Vec::new();
        explain(text, &marks, false, &mut out).expect("memory takes it");
        let shown = String::from_utf8(out).expect("it is text");
        assert!(shown.starts_with("2: mail bob@example.com now\n    email: "), "{shown}");
        assert!(shown.ends_with("→ ‹redacted:email›\n"), "{shown}");
    }

    #[test]
    fn what_is_shown_cannot_move_the_cursor() {
        assert!(!head(b"a\x1b[2Jb", 10).contains('\x1b'));
    }
}
