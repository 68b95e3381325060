//! Where the JSON of a body begins, and what the body is when there is none.

use std::fmt;

/// What a body turned out to be when it is not what was asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// No bytes, or only white space.
    Empty,
    /// `null`.
    Null,
    /// `false`.
    False,
    /// Another bare value: `true`, a number, a string.
    Scalar,
    /// `[]`.
    EmptyList,
    /// `[…]` where an object was asked for.
    List,
    /// `{}`.
    EmptyObject,
    /// The login answer: the action is unknown to the panel, or the account is refused or expired.
    Login(Box<crate::Account>),
    /// Another object, by its first key.
    Object(String),
    /// A page, such as a block page.
    Html,
    /// Something else.
    Text,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty body"),
            Self::Null => f.write_str("null"),
            Self::False => f.write_str("false"),
            Self::Scalar => f.write_str("a bare value"),
            Self::EmptyList => f.write_str("an empty list"),
            Self::List => f.write_str("a list"),
            Self::EmptyObject => f.write_str("an empty object"),
            Self::Login(account) if account.auth == Some(false) => f.write_str("a refused login"),
            Self::Login(_) => f.write_str("the login answer"),
            Self::Object(key) => write!(f, "an object with the key {key:?}"),
            Self::Html => f.write_str("an HTML page"),
            Self::Text => f.write_str("text that is not JSON"),
        }
    }
}
