//! Channel numbers, which may have a part behind a dot: "5.1".

use std::{fmt, str::FromStr};

/// A channel number as ATSC writes them: "5.10" comes after "5.9", and "5" before "5.1".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number {
    major: u32,
    /// 0 is none.
    minor: u32,
}

/// The greatest number, before and behind the dot.
pub const NUMBER_MAX: u32 = 999_999;

impl Number {
    /// A whole number; past [`NUMBER_MAX`] it is that.
    pub fn whole(major: u32) -> Self {
        Self {
            major: major.min(NUMBER_MAX),
            minor: 0,
        }
    }

    /// What stands before the dot.
    pub fn major(self) -> u32 {
        self.major
    }
}

/// Not a number a channel can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a channel number is like 5 or 5.1, up to {NUMBER_MAX}")]
pub struct NotANumber;

impl FromStr for Number {
    type Err = NotANumber;

    fn from_str(text: &str) -> Result<Self, NotANumber> {
        let text = text.trim();
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        let part = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let value = is_number.then(|| digits.parse().ok()).flatten();
            value.filter(|value| *value <= NUMBER_MAX).ok_or(NotANumber)
        };
        Ok(Self {
            major: part(major)?,
            minor: part(minor)?,
        })
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.major)?;
        if self.minor > 0 {
            write!(f, ".{}", self.minor)?;
        }
        Ok(())
    }
}
