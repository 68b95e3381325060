//! The state of one reading: the environment, and the problems found so far.

use std::{borrow::Cow, path::Path};

use super::{
    substitute::{self, Text},
    suggest,
    tree::{Content, Node, Span},
};

/// Problems kept of one file; a file with more is another kind of file.
pub const PROBLEMS_MAX: usize = 100;

/// Bytes a text may have to be named in a message; no key is that long.
const WORD_BYTES_MAX: usize = 40;

/// Environment variables by name.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but is probably not what was meant.
    Warning,
}

/// Something found at a place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) at: Span,
    pub(super) message: String,
}

/// Collects what is found while a tree is read.
pub(super) struct Reader<'a> {
    env: Env<'a>,
    /// Where relative paths start: the folder of the file.
    pub(super) folder: &'a Path,
    pub(super) findings: Vec<Finding>,
    /// Inside a source that is switched off: what is missing there only matters once it is switched on.
    pub(super) is_lenient: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(env: Env<'a>, folder: &'a Path) -> Self {
        Self {
            env,
            folder,
            findings: Vec::new(),
            is_lenient: false,
        }
    }

    /// Whether something makes the configuration unusable.
    pub(super) fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    /// Notes what makes the configuration unusable.
    pub(super) fn problem(&mut self, at: Span, message: impl Into<String>) {
        self.note(Severity::Error, at, message.into());
    }

    /// Notes what is probably not meant.
    pub(super) fn warning(&mut self, at: Span, message: impl Into<String>) {
        self.note(Severity::Warning, at, message.into());
    }

    /// Notes what is missing: a problem, but only a warning in a source that is switched off.
    pub(super) fn missing(&mut self, at: Span, message: impl Into<String>) {
        let severity = if self.is_lenient {
            Severity::Warning
        } else {
            Severity::Error
        };
        self.note(severity, at, message.into());
    }

    fn note(&mut self, severity: Severity, at: Span, message: String) {
        if self.findings.len() < PROBLEMS_MAX {
            self.findings.push(Finding {
                severity,
                at,
                message,
            });
        }
    }

    /// Notes that `node` is not `expected`, in words such as "a list".
    pub(super) fn wrong_type(&mut self, node: &Node, expected: &str) {
        let found = match &node.content {
            Content::Scalar(_) => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "keys with values",
        };
        self.problem(node.span, format!("expected {expected}, found {found}"));
    }

    /// Notes that the text of `node` is not `expected`. The text is named if it is short and plain, and all of it
    /// stands in the file: a value out of place may be a secret.
    pub(super) fn wrong_text(&mut self, node: &Node, text: &Text<'_>, expected: &str) {
        let message = if text.is_substituted {
            format!("expected {expected}, but that is not what the variable holds")
        } else if is_word(&text.value) {
            format!("expected {expected}, found `{}`", text.value)
        } else {
            format!("expected {expected}, found something else")
        };
        self.problem(node.span, message);
    }

    /// Notes a key that is not among `names`; see [`is_shown`] for whether it is named.
    pub(super) fn unknown_key(&mut self, at: Span, name: &str, value: &Node, names: &[&'static str]) {
        let message = match suggest::nearest(name, names.iter().copied()) {
            Some(near) if is_shown(name, value) => {
                format!("unknown key `{}`; did you mean `{near}`?", name.escape_debug())
            }
            _ if !is_shown(name, value) => format!("unknown key; known here: {}", names.join(", ")),
            _ => format!(
                "unknown key `{}`; known here: {}",
                name.escape_debug(),
                names.join(", ")
            ),
        };
        self.problem(at, message);
    }

    /// The text of a scalar, variables put in.
    pub(super) fn text<'n>(&mut self, node: &'n Node, expected: &str) -> Option<Text<'n>> {
        let Content::Scalar(scalar) = &node.content else {
            self.wrong_type(
                node,
                &format!("{expected} (in quotes, if it begins with a bracket)"),
            );
            return None;
        };
        match substitute::substitute(&scalar.text, self.env) {
            Ok(text) => Some(text),
            Err(error) => {
                let at = scalar.place(node.span, error.offset());
                if matches!(error, substitute::Error::Unset { .. }) {
                    self.missing(at, error.to_string());
                } else {
                    self.problem(at, error.to_string());
                }
                None
            }
        }
    }

    /// The text of a scalar, variables put in; nothing is noted.
    pub(super) fn peek<'n>(&self, node: &'n Node) -> Option<Cow<'n, str>> {
        Some(substitute::substitute(node.scalar_text()?, self.env).ok()?.value)
    }

    /// One of `words`.
    pub(super) fn word<T: std::str::FromStr>(&mut self, node: &Node, words: &[&'static str]) -> Option<T> {
        let expected = format!("one of {}", words.join(", "));
        let text = self.text(node, &expected)?;
        let word = text.value.trim().parse().ok();
        if word.is_none() {
            self.wrong_text(node, &text, &expected);
            if let (Some(near), Some(finding)) = (
                suggest::nearest(&text.value, words.iter().copied()),
                self.findings.last_mut(),
            ) {
                finding.message.push_str(&format!("; did you mean `{near}`?"));
            }
        }
        word
    }
}

/// Whether an unknown key may be named. One without a value may be the rest of a password that was not quoted
/// (`{password: a,b}`), and what is not even a word may be anything.
pub(super) fn is_shown(name: &str, value: &Node) -> bool {
    is_word(name) && !value.is_null()
}

fn is_word(text: &str) -> bool {
    text.len() <= WORD_BYTES_MAX
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b' '))
}
