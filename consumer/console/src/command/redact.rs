//! `tapedeck redact`: what the rules would do to a text, and a pack's own examples.

use std::fs;
use std::io::{self, IsTerminal as _, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use tapedeck_config::Redaction;
use tapedeck_redact::{Config, Content, Context, Mark, Outcome, Pack, Redacted, Redactor};

use super::failure::Failure;
use crate::text;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

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
    /// A consumer's configuration: its packs, policies and keys are used.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// As if this tenant's client had said it: for policies and tokens.
    #[arg(long, default_value = "")]
    tenant: String,
    /// As if it had been said to this target: for policies.
    #[arg(long, default_value = "")]
    target: String,
    /// As if it were about this tool, prompt or resource: for policies.
    #[arg(long)]
    tool: Option<String>,
    /// Run the examples of a pack, and nothing else.
    #[arg(long, value_name = "PACK", conflicts_with_all = ["files", "explain", "json", "pack", "config", "tenant", "target", "tool"])]
    test: Option<PathBuf>,
}

/// Runs the command. The code is 1 where a file was dropped or an example fails.
pub(crate) fn run(what: &What, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    if let Some(path) = &what.test {
        return test(&pack(path)?, out);
    }
    let config = config(what)?;
    let redactor = Arc::new(Redactor::new(config)?);
    let stdin = [PathBuf::from("-")];
    let files = if what.files.is_empty() { &stdin[..] } else { &what.files };
    let mut code = ExitCode::SUCCESS;
    for file in files {
        let is_kept = match what.explain || what.json {
            true => show(what, &redactor, file, &read(file)?, out)?,
            false => filter(what, &redactor, file, out)?,
        };
        if !is_kept {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// Writes what is left of a file of any size, as it is read. False if some of it is dropped.
fn filter(what: &What, redactor: &Arc<Redactor>, file: &Path, out: &mut impl Write) -> anyhow::Result<bool> {
    let mut source: Box<dyn Read> = match is_stdin(file) {
        true => Box::new(io::stdin().lock()),
        false => Box::new(fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?),
    };
    let mut stream = redactor.stream(&context(what));
    let mut dropped = None;
    let mut write = |bodies: Vec<Redacted<'static>>| -> io::Result<()> {
        for body in bodies {
            match body.outcome() {
                Outcome::Dropped(reason) => dropped = Some(reason),
                _ => out.write_all(body.body().unwrap_or_default())?,
            }
        }
        Ok(())
    };
    let mut chunk = vec![0; CHUNK];
    loop {
        match source.read(&mut chunk)? {
            0 => break,
            length => write(stream.push(&chunk[..length]))?,
        }
    }
    write(stream.finish())?;
    match dropped {
        None => Ok(true),
        Some(reason) => {
            writeln!(io::stderr(), "tapedeck: {}: dropped: {reason}", file.display())?;
            Ok(false)
        }
    }
}

/// What the rules are told of a file.
fn context(what: &What) -> Context<'_> {
    Context {
        tenant: &what.tenant,
        target: &what.target,
        name: what.tool.as_deref(),
        content: Content::Text,
        ..Context::default()
    }
}

/// The built-in packs, and those of the command line and of the consumer, with the consumer's policies and keys.
fn config(what: &What) -> anyhow::Result<Config> {
    let mut config = Config::default();
    if let Some(path) = &what.config {
        let settings = tapedeck_config::read(path, |root| {
            // The rest of the file is the consumer's business.
            root.leave_others();
            Some(Redaction::read(root.section("redaction").as_ref()))
        });
        let settings = settings.map_err(|errors| Failure::Usage(errors.to_string()))?;
        for path in &settings.packs {
            config.packs.push(pack(path)?);
        }
        config.enabled = settings.enabled;
        (config.policies, config.keys) = (settings.policies, settings.keys);
    }
    for path in &what.pack {
        config.packs.push(pack(path)?);
    }
    Ok(config)
}

/// False if the file would be dropped.
fn show(what: &What, redactor: &Redactor, file: &Path, bytes: &[u8], out: &mut impl Write) -> anyhow::Result<bool> {
    let marks = match redactor.marks(bytes, &context(what)) {
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
    } else {
        // https://no-color.org
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        explain(bytes, &marks, colour, out)?;
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

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if is_stdin(path) {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests;
