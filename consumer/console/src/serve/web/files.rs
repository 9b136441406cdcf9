//! The files of the web pages, as the build left them: each as it is, and compressed where that is smaller.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use include_dir::{Dir, DirEntry, include_dir};
use sha2::{Digest as _, Sha256};

static BUILT: Dir<'static> = include_dir!("$OUT_DIR/web/dist");

/// How a file may be sent (RFC 9110, section 8.4.1), the smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coding {
    Brotli,
    Gzip,
    Identity,
}

impl Coding {
    /// The name in `Content-Encoding`; none for a file as it is.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }
}

/// One file.
#[derive(Debug)]
pub(super) struct File {
    /// Its media type.
    pub(super) kind: &'static str,
    /// Whether its name has a hash of its content, so that it never changes.
    pub(super) is_immutable: bool,
    /// Invariant: `Identity` is there.
    codings: BTreeMap<Coding, (&'static [u8], String)>,
}

impl File {
    /// The file in the best coding that `accepted`, an `Accept-Encoding`, allows, and its entity tag.
    pub(super) fn coded(&self, accepted: &str) -> (Coding, &'static [u8], &str) {
        let accepts = |name: &str| {
            accepted.split(',').any(|one| {
                let mut parts = one.split(';').map(str::trim);
                let is_it = parts.next().is_some_and(|coding| coding.eq_ignore_ascii_case(name));
                // A weight of nothing is a refusal.
                let is_refused = parts.any(|part| {
                    part.strip_prefix("q=")
                        .is_some_and(|weight| weight.trim_matches(['0', '.']).is_empty())
                });
                is_it && !is_refused
            })
        };
        let fitting = self.codings.iter();
        let mut fitting = fitting.filter(|(coding, _)| coding.name().is_none_or(&accepts));
        let (coding, (content, tag)) = fitting.next().expect("every file is there as it is");
        (*coding, content, tag)
    }
}

/// All files by path, without a slash at the front; none at all where the build had no Node.
pub(super) fn files() -> BTreeMap<String, File> {
    let mut files = BTreeMap::new();
    add(&BUILT, &mut files);
    files
}

fn add(folder: &Dir<'static>, files: &mut BTreeMap<String, File>) {
    for entry in folder.entries() {
        let file = match entry {
            DirEntry::Dir(folder) => {
                add(folder, files);
                continue;
            }
            DirEntry::File(file) => file,
        };
        let path = file.path().to_string_lossy();
        let (path, coding) = match path.rsplit_once('.') {
            Some((path, "br")) => (path, Coding::Brotli),
            Some((path, "gz")) => (path, Coding::Gzip),
            _ => (path.as_ref(), Coding::Identity),
        };
        let content = file.contents();
        let tag = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(content)[..18]));
        let file = files.entry(path.to_owned()).or_insert_with(|| File {
            kind: kind(path),
            is_immutable: path.starts_with("assets/"),
            codings: BTreeMap::new(),
        });
        file.codings.insert(coding, (content, tag));
    }
}

/// Media types of what the build makes.
fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Coding, File, files};

    fn file() -> File {
        let coding = |name: &'static str| (name.as_bytes(), format!("\"{name}\""));
        File {
            kind: "text/css",
            is_immutable: true,
            codings: BTreeMap::from([
                (Coding::Identity, coding("as it is")),
                (Coding::Gzip, coding("gzip")),
                (Coding::Brotli, coding("br")),
            ]),
        }
    }

    #[test]
    fn a_client_gets_the_smallest_that_it_takes() {
        let file = file();
        for (accepted, expected) in [
            ("gzip, deflate, br", Coding::Brotli),
            ("GZIP", Coding::Gzip),
            ("br;q=0, gzip;q=0.5", Coding::Gzip),
            ("br;q=0.0", Coding::Identity),
            ("", Coding::Identity),
            ("zstd", Coding::Identity),
        ] {
            assert_eq!(file.coded(accepted).0, expected, "{accepted}");
        }
    }

    /// All that the first page needs and more: every file that is built, as browsers get it.
    #[test]
    fn the_pages_weigh_less_than_200_kib() {
        let files = files();
        assert!(
            files.contains_key("index.html"),
            "the pages are not built: Node.js 20.19 or newer with npm is needed to test them"
        );
        let weights = files.iter().map(|(path, file)| (path, file.coded("br").1.len()));
        let weights: Vec<_> = weights.collect();
        let whole: usize = weights.iter().map(|(_, weight)| weight).sum();
        assert!(whole < 200 * 1024, "{whole} bytes: {weights:?}");
    }

    #[test]
    fn the_page_holds_no_script_and_no_style_and_names_no_host() {
        let files = files();
        let page = files.get("index.html").expect("the pages are built");
        let page = String::from_utf8(page.coded("").1.to_vec()).expect("text");
        assert!(!page.contains("<style") && !page.contains("style="), "{page}");
        let scripts = page.matches("<script").count();
        assert_eq!(scripts, page.matches(" src=\"/assets/").count(), "{page}");
        assert!(!page.contains("://"), "{page}");
    }
}
