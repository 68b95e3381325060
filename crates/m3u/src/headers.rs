//! Request headers an entry asks for. The four notations of the field end up in one value.

/// Request headers for the stream of an entry. No value holds a control character.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `Referer`.
    pub referer: Option<String>,
    /// Any other header as (name, value) in order of appearance; names are valid header names.
    pub others: Vec<(String, String)>,
}
