//! Values of the file, and the types that read themselves from one. Units are part of the type: there is no number
//! whose unit must be known.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    ops::Range,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use bytesize::ByteSize;
use ipnet::IpNet;
use toml::{Spanned, de::DeValue};
use url::Url;

use crate::{Reader, Section};

/// One value of the file with its place and its name.
pub struct Node<'a> {
    reader: &'a Reader,
    value: &'a Spanned<DeValue<'a>>,
    path: String,
}

impl<'a> Node<'a> {
    pub(crate) fn new(reader: &'a Reader, value: &'a Spanned<DeValue<'a>>, path: String) -> Self {
        Self { reader, value, path }
    }

    /// The reading that this value belongs to.
    pub fn reader(&self) -> &'a Reader {
        self.reader
    }

    /// The value as TOML has it.
    pub fn value(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    /// Where the value stands.
    pub fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// The value's key with the names of the tables that it stands in, such as `target[0].url`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Reports a problem at this value's place.
    pub fn problem(&self, message: impl Into<String>) {
        self.reader.problem(self.span(), message);
    }

    /// Reports that the value is not of the type that belongs here: `expected` with its article.
    pub fn wrong_type(&self, expected: &str) {
        let found = match self.value() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.problem(format!("`{}` is {found}, but must be {expected}", self.path));
    }

    /// The value as a table; another type is reported.
    pub fn section(&self) -> Option<Section<'a>> {
        match self.value() {
            DeValue::Table(table) => {
                let span = self.span();
                Some(Section::new(self.reader, table, span, self.path.clone()))
            }
            _ => {
                self.wrong_type("a table");
                None
            }
        }
    }

    /// The value as a string; another type is reported, with `expected` as what belongs here.
    pub fn text(&self, expected: &str) -> Option<&'a str> {
        match self.value() {
            DeValue::String(text) => Some(text.as_ref()),
            _ => {
                self.wrong_type(expected);
                None
            }
        }
    }

    /// A string that `parse` understands; another type, or an error of `parse`, is reported, with `expected` as what
    /// belongs here.
    fn parsed<T, E: fmt::Display>(&self, expected: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let text = self.text(expected)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(format!("`{}`: {text:?} is not {expected}: {error}", self.path));
                None
            }
        }
    }
}

impl fmt::Debug for Node<'_> {
    /// Names the key, never its value, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A type that reads itself from a value of the file.
pub trait FromToml: Sized {
    /// The value, or `None` after whatever is wrong with it has been reported through the node.
    fn from_toml(node: &Node<'_>) -> Option<Self>;
}

impl FromToml for String {
    fn from_toml(node: &Node<'_>) -> Option<Self> {
        let text = node.text("a string")?;
        if text.is_empty() {
            node.problem(format!(
                "`{}` is empty; leave the key out or give it a value",
                node.path()
            ));
            return None;
        }
        Some(text.to_owned())
    }
}

impl FromToml for bool {
    fn from_toml(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            DeValue::Boolean(value) => Some(*value),
            _ => {
                node.wrong_type("true or false");
                None
            }
        }
    }
}

/// Reads an integer of the type's range.
macro_rules! integers {
    ($($type:ty: $expected:literal),+ $(,)?) => {$(
        impl FromToml for $type {
            fn from_toml(node: &Node<'_>) -> Option<Self> {
                let DeValue::Integer(integer) = node.value() else {
                    node.wrong_type($expected);
                    return None;
                };
                let value = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
                let value = value.and_then(|value| u64::try_from(value).ok()).and_then(|value| value.try_into().ok());
                if value.is_none() {
                    node.problem(format!("`{}` is {integer}, but must be {}", node.path(), $expected));
                }
                value
            }
        }
    )+};
}

/// Reads an integer of the type's range that is not zero.
macro_rules! non_zero_integers {
    ($($type:ty, $plain:ty),+ $(,)?) => {$(
        impl FromToml for $type {
            fn from_toml(node: &Node<'_>) -> Option<Self> {
                let value = <$type>::new(<$plain>::from_toml(node)?);
                if value.is_none() {
                    node.problem(format!("`{}` is 0, but must be at least 1", node.path()));
                }
                value
            }
        }
    )+};
}

integers!(
    u16: "an integer from 0 to 65535",
    u32: "an integer from 0 to 4294967295",
    u64: "an integer, 0 or more",
    usize: "an integer, 0 or more",
);
non_zero_integers!(NonZeroU32, u32, NonZeroU64, u64, NonZeroUsize, usize);

impl FromToml for Duration {
    /// A duration with its unit, `"30s"`, `"500ms"`, `"1h 30m"`.
    fn from_toml(node: &Node<'_>) -> Option<Self> {
        node.parsed(
            "a duration with its unit, such as \"30s\", \"500ms\" or \"7d\"",
            humantime::parse_duration,
        )
    }
}

impl FromToml for ByteSize {
    /// A size with its unit, `"16MiB"` (1024) or `"16MB"` (1000).
    fn from_toml(node: &Node<'_>) -> Option<Self> {
        node.parsed("a size with its unit, such as \"16MiB\" or \"512KiB\"", |text| {
            if text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err("the unit is missing".to_owned());
            }
            ByteSize::from_str(text)
        })
    }
}

impl FromToml for Url {
    /// An absolute `http` or `https` URL with a host, without user information, query or fragment.
    fn from_toml(node: &Node<'_>) -> Option<Self> {
        node.parsed("an http or https URL", |text| {
            let url = Url::parse(text).map_err(|error| error.to_string())?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(format!("the scheme is {}", url.scheme()));
            }
            if !url.username().is_empty() || url.password().is_some() {
                return Err("it holds a user or a password, which belong in keys of their own".to_owned());
            }
            if url.query().is_some() || url.fragment().is_some() {
                return Err("it holds a query or a fragment".to_owned());
            }
            Ok(url)
        })
    }
}

impl FromToml for SocketAddr {
    fn from_toml(node: &Node<'_>) -> Option<Self> {
        node.parsed(
            "an address and port, such as \"0.0.0.0:8443\" or \"[::1]:8080\"",
            SocketAddr::from_str,
        )
    }
}

impl FromToml for IpNet {
    /// A network in CIDR notation, or one address.
    fn from_toml(node: &Node<'_>) -> Option<Self> {
        node.parsed("an IP network, such as \"10.0.0.0/8\" or \"2001:db8::/32\"", |text| {
            text.parse::<IpNet>()
                .or_else(|error| text.parse::<IpAddr>().map(IpNet::from).map_err(|_| error))
        })
    }
}

impl FromToml for PathBuf {
    /// A path; a relative one starts at the configuration file's directory.
    fn from_toml(node: &Node<'_>) -> Option<Self> {
        let reader = node.reader();
        String::from_toml(node).map(|written| reader.path(&written))
    }
}

impl<T: FromToml> FromToml for Vec<T> {
    /// An array; every wrong element is reported at its own place.
    fn from_toml(node: &Node<'_>) -> Option<Self> {
        let DeValue::Array(items) = node.value() else {
            node.wrong_type("an array");
            return None;
        };
        let item = |(index, value)| T::from_toml(&Node::new(node.reader, value, format!("{}[{index}]", node.path)));
        // Collected before judging: a wrong element must not hide the ones after it.
        let read: Vec<Option<T>> = items.iter().enumerate().map(item).collect();
        read.into_iter().collect()
    }
}

/// One value, or an array of one or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T: FromToml> FromToml for OneOrMany<T> {
    fn from_toml(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            DeValue::Array(items) if items.is_empty() => {
                node.problem(format!("`{}` is an empty array; name at least one", node.path()));
                None
            }
            DeValue::Array(_) => Vec::from_toml(node).map(Self),
            _ => T::from_toml(node).map(|value| Self(vec![value])),
        }
    }
}
