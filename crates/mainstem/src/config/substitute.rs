//! `${VAR}` and `${VAR:-default}` in a text.
//!
//! A value goes in verbatim and is not looked at again; `$${` is a literal `${`; any other `$` is itself.

use std::borrow::Cow;

use super::reader::Env;

/// A text with its variables put in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text<'a> {
    pub(super) value: Cow<'a, str>,
    /// Whether some of it came from outside the file.
    pub(super) is_substituted: bool,
}

/// Why variables cannot be put in. Offsets are bytes from the start of the text to the `$`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("the environment variable `{name}` is not set; `${{{name}:-…}}` gives a default")]
    Unset { name: String, offset: usize },
    #[error("`${{` is never closed by `}}`; write `$${{` for a literal `${{`")]
    Unclosed { offset: usize },
    #[error(
        "`${{` must be followed by the name of an environment variable; write `$${{` for a literal `${{`"
    )]
    Name { offset: usize },
    #[error("a default is plain text: it cannot hold `${{`")]
    Nested { offset: usize },
}

impl Error {
    /// Where in the text, in bytes.
    pub(super) fn offset(&self) -> usize {
        match self {
            Self::Unset { offset, .. }
            | Self::Unclosed { offset }
            | Self::Name { offset }
            | Self::Nested { offset } => *offset,
        }
    }
}

/// Puts variables into `text`.
pub(super) fn substitute<'a>(text: &'a str, env: Env<'_>) -> Result<Text<'a>, Error> {
    if !text.contains("${") {
        return Ok(Text {
            value: Cow::Borrowed(text),
            is_substituted: false,
        });
    }
    let mut value = String::with_capacity(text.len());
    let mut is_substituted = false;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            value.push_str(literal);
            value.push_str("${");
            rest = after;
            continue;
        }
        value.push_str(before);
        let offset = text.len() - after.len() - "${".len();
        let (inner, after) = after.split_once('}').ok_or(Error::Unclosed { offset })?;
        value.push_str(&resolve(inner, offset, env)?);
        is_substituted = true;
        rest = after;
    }
    value.push_str(rest);
    Ok(Text {
        value: Cow::Owned(value),
        is_substituted,
    })
}

/// The value of what stands between the braces.
fn resolve(inner: &str, offset: usize, env: Env<'_>) -> Result<String, Error> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(Error::Name { offset });
    }
    if default.is_some_and(|default| default.contains("${")) {
        return Err(Error::Nested { offset });
    }
    match (env(name), default) {
        // As in a shell, `:-` also stands in for a variable that is set but empty.
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Error::Unset {
            name: name.to_owned(),
            offset,
        }),
    }
}
