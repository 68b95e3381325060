//! One list of keys per section, written once: [`section!`] makes of it the struct, the reader with positions, and
//! the [`Key`]s that the JSON Schema, the documentation and the masking of secrets are made from.
//!
//! Not here: what a scalar may look like ([`super::scalar`]), or what must hold between keys.

use std::ops::RangeInclusive;

use super::{
    reader::Reader,
    scalar,
    tree::{Content, Node, Span},
};

/// One key of a section, as the schema and the documentation need it.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) doc: String,
    pub(super) shape: Shape,
    /// What holds where the key is absent, as JSON; `None`: nothing.
    pub(super) default: Option<serde_json::Value>,
    /// Least and greatest value, in the base unit (seconds, bytes, pieces).
    pub(super) range: Option<RangeInclusive<f64>>,
}

/// What a value looks like.
pub(super) enum Shape {
    Bool,
    Text,
    /// Text that is never printed.
    Secret,
    /// A location that may carry credentials: printed as scheme and host.
    SecretUrl,
    Count,
    Bytes,
    Duration,
    /// One of these words.
    Choice(Vec<&'static str>),
    /// Names and secret values, freely chosen.
    SecretMap,
    Pattern,
    List(Box<Shape>),
    Section {
        keys: Vec<Key>,
        required: &'static [&'static str],
        about: String,
    },
}

/// A type a key can have.
pub(super) trait Setting: Sized {
    /// What it looks like.
    fn shape() -> Shape;

    /// Reads one; `None` where `node` is none, and then the reader holds a problem.
    fn read(node: &Node, range: Option<&RangeInclusive<f64>>, reader: &mut Reader<'_>) -> Option<Self>;

    /// The value as it would stand in a file; `None` for "absent".
    fn show(&self) -> Option<serde_json::Value>;
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) at: Span,
}

impl<T> Placed<T> {
    /// A value no file says.
    pub(super) fn implied(value: T) -> Self {
        Self {
            value,
            at: Span::default(),
        }
    }
}

impl<T: Setting> Setting for Placed<T> {
    fn shape() -> Shape {
        T::shape()
    }

    fn read(node: &Node, range: Option<&RangeInclusive<f64>>, reader: &mut Reader<'_>) -> Option<Self> {
        let value = T::read(node, range, reader)?;
        Some(Self { value, at: node.span })
    }

    fn show(&self) -> Option<serde_json::Value> {
        self.value.show()
    }
}

impl<T: Setting> Setting for Option<T> {
    fn shape() -> Shape {
        T::shape()
    }

    fn read(node: &Node, range: Option<&RangeInclusive<f64>>, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(node, range, reader).map(Some)
    }

    fn show(&self) -> Option<serde_json::Value> {
        self.as_ref().and_then(T::show)
    }
}

/// A mapping while it is read: unknown and repeated keys are noted when it is opened.
pub(super) struct Fields<'n> {
    entries: Vec<(&'n str, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// Opens `node` as a mapping with `names` as its keys; `None` where it is something else.
    pub(super) fn open(
        node: &'n Node,
        names: &[&'static str],
        required: &[&'static str],
        reader: &mut Reader<'_>,
    ) -> Option<Self> {
        let pairs = match &node.content {
            Content::Map(pairs) => pairs.as_slice(),
            // `filters:` with nothing under it is an empty section, not a mistake.
            Content::Scalar(_) if node.is_null() => &[],
            _ => {
                reader.wrong_type(node, "keys with values");
                return None;
            }
        };
        let mut entries: Vec<(&str, &Node)> = Vec::new();
        for (key, value) in pairs {
            let Some(name) = key.scalar_text() else {
                reader.problem(key.span, "a key must be a plain word");
                continue;
            };
            // Room for anchors and for an editor's pointer to the schema.
            if name.starts_with("x-") || name == "$schema" {
                continue;
            }
            if !names.contains(&name) {
                reader.unknown_key(key.span, name, value, names);
            } else if entries.iter().any(|(known, _)| *known == name) {
                reader.problem(key.span, format!("`{name}` is given twice"));
            } else {
                entries.push((name, value));
            }
        }
        entries.retain(|(_, value)| !value.is_null());
        for name in required {
            if !entries.iter().any(|(known, _)| known == name) {
                reader.problem(node.span.start_only(), format!("`{name}` is missing"));
            }
        }
        Some(Self { entries })
    }

    /// The value of `name`, or `default` where it is absent or wrong.
    pub(super) fn take<T: Setting>(
        &self,
        name: &str,
        default: T,
        range: Option<&RangeInclusive<f64>>,
        reader: &mut Reader<'_>,
    ) -> T {
        let found = self.entries.iter().find(|(known, _)| *known == name);
        found
            .and_then(|(_, node)| T::read(node, range, reader))
            .unwrap_or(default)
    }

    /// Whether the section says `enabled: false`.
    pub(super) fn is_off(&self, reader: &Reader<'_>) -> bool {
        let enabled = self.entries.iter().find(|(known, _)| *known == "enabled");
        enabled.is_some_and(|(_, node)| {
            reader
                .peek(node)
                .is_some_and(|text| scalar::parse_bool(&text) == Some(false))
        })
    }
}

/// The lines of a doc comment as one.
pub(super) fn sentence(lines: &str) -> String {
    lines.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name of a key: the field's, or another where that is a word of Rust.
macro_rules! key_name {
    ($key:ident) => {
        stringify!($key)
    };
    ($key:ident $name:literal) => {
        $name
    };
}

macro_rules! key_range {
    () => {
        None::<std::ops::RangeInclusive<f64>>
    };
    ($low:literal $high:literal) => {
        Some($low..=$high)
    };
}

/// Declares a section; see the module. The struct is documented by the same words as the key.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $vis:vis struct $section:ident $(requires [$($required:literal),*])? {
            $(
                $(#[doc = $doc:literal])+
                $key:ident $(as $name:literal)? : $type:ty = $default:expr $(, $low:literal ..= $high:literal)? ;
            )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $section {
            $( $(#[doc = $doc])+ $vis $key: $type, )*
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $( $key: $default, )* }
            }
        }

        impl $section {
            const NAMES: &'static [&'static str] =
                &[$( $crate::config::section::key_name!($key $($name)?) ),*];
            const REQUIRED: &'static [&'static str] = &[$($($required),*)?];

            fn from_fields(
                fields: &$crate::config::section::Fields<'_>,
                reader: &mut $crate::config::reader::Reader<'_>,
            ) -> Self {
                Self { $(
                    $key: fields.take(
                        $crate::config::section::key_name!($key $($name)?),
                        $default,
                        $crate::config::section::key_range!($($low $high)?).as_ref(),
                        reader,
                    ),
                )* }
            }
        }

        impl $crate::config::section::Setting for $section {
            fn shape() -> $crate::config::section::Shape {
                use $crate::config::section::{Key, Setting, Shape};
                Shape::Section {
                    keys: vec![$( {
                        let default: $type = $default;
                        Key {
                            name: $crate::config::section::key_name!($key $($name)?),
                            doc: $crate::config::section::sentence(concat!($($doc, "\n"),+)),
                            shape: <$type as Setting>::shape(),
                            default: Setting::show(&default),
                            range: $crate::config::section::key_range!($($low $high)?),
                        }
                    } ),*],
                    required: Self::REQUIRED,
                    about: $crate::config::section::sentence(concat!($($about, "\n"),+)),
                }
            }

            fn read(
                node: &$crate::config::tree::Node,
                _: Option<&std::ops::RangeInclusive<f64>>,
                reader: &mut $crate::config::reader::Reader<'_>,
            ) -> Option<Self> {
                let fields = $crate::config::section::Fields::open(node, Self::NAMES, Self::REQUIRED, reader)?;
                let outer = reader.is_lenient;
                reader.is_lenient |= fields.is_off(reader);
                let section = Self::from_fields(&fields, reader);
                reader.is_lenient = outer;
                Some(section)
            }

            fn show(&self) -> Option<serde_json::Value> {
                None
            }
        }
    };
}

/// Declares an enum of words. The first word of each is the one shown; case does not matter.
macro_rules! choice {
    (
        $(#[doc = $about:literal])+
        $vis:vis enum $choice:ident {
            $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal $(| $alias:literal)* , )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $choice {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl $choice {
            /// The words it is written with in a configuration.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word it is written with.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }
        }

        impl std::str::FromStr for $choice {
            type Err = $crate::config::section::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $( if [$word $(, $alias)*].iter().any(|word| word.eq_ignore_ascii_case(text)) {
                    return Ok(Self::$variant);
                } )+
                Err($crate::config::section::UnknownWord { expected: Self::WORDS })
            }
        }

        impl std::fmt::Display for $choice {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::config::section::Setting for $choice {
            fn shape() -> $crate::config::section::Shape {
                $crate::config::section::Shape::Choice(Self::WORDS.to_vec())
            }

            fn read(
                node: &$crate::config::tree::Node,
                _: Option<&std::ops::RangeInclusive<f64>>,
                reader: &mut $crate::config::reader::Reader<'_>,
            ) -> Option<Self> {
                reader.word(node, Self::WORDS)
            }

            fn show(&self) -> Option<serde_json::Value> {
                Some(self.as_str().into())
            }
        }
    };
}

/// A word is none of those expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownWord {
    /// The words there are.
    pub expected: &'static [&'static str],
}

impl std::fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expected one of {}", self.expected.join(", "))
    }
}

impl std::error::Error for UnknownWord {}

pub(super) use {choice, key_name, key_range, section};
