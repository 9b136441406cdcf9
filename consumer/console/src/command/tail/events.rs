//! Server-sent events (WHATWG HTML, section 9.2.6), as far as the console sends them.

use anyhow::bail;

/// The longest event: a frame of 16 KiB of payload is far below it.
const LONGEST: usize = 1 << 20;

/// Events as their bytes come.
#[derive(Debug, Default)]
pub(in crate::command) struct Events {
    line: Vec<u8>,
    name: String,
    data: String,
}

impl Events {
    /// The events, by name and data, that these bytes end.
    ///
    /// # Errors
    /// One that is too long, or no text.
    pub(in crate::command) fn add(&mut self, bytes: &[u8]) -> anyhow::Result<Vec<(String, String)>> {
        let mut ended = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() + self.data.len() > LONGEST {
                    bail!("the console sends an event that is longer than 1 MiB");
                }
                continue;
            }
            let line = String::from_utf8(std::mem::take(&mut self.line))?;
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if line.is_empty() {
                let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
                if !data.is_empty() {
                    ended.push((name, data));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.name),
                "data" => {
                    if !self.data.is_empty() {
                        self.data.push('\n');
                    }
                    self.data.push_str(value);
                }
                _ => {}
            }
        }
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Events;

    proptest! {
        #[test]
        fn events_come_whole_however_they_are_cut(cuts in prop::collection::vec(0_usize..60, 0..8)) {
            let stream = ": hello\n\nevent: frame\r\nid: 7\r\ndata: {\"a\":\ndata: 1}\r\n\r\nevent: x\n\ndata: last\n\n".as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.push(stream.len());
            cuts.sort_unstable();
            let (mut events, mut heard, mut from) = (Events::default(), Vec::new(), 0);
            for cut in cuts {
                heard.extend(events.add(&stream[from..cut]).expect("text"));
                from = cut;
            }
            let expected = [("frame", "{\"a\":\n1}"), ("", "last")].map(|(name, data)| (name.to_owned(), data.to_owned()));
            prop_assert_eq!(heard, expected);
        }
    }
}
