//! What is wrong with a file, as people read it: place, words, the line itself with a caret under it.

use std::{fmt, path::PathBuf};

use super::{
    mask::Mask,
    reader::{Finding, Severity},
    tree::Span,
};

/// Characters of a line that are shown; a longer one is shown around the caret.
const LINE_CHARS_MAX: usize = 160;

/// One thing found in a file. Secrets are masked in all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// Column in characters, from 1; 0 for the file as a whole.
    pub column: usize,
    /// What is wrong, in words for the operator.
    pub message: String,
    excerpt: Option<Excerpt>,
}

/// The line, masked, and what of it to point at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    text: String,
    /// Characters before the caret.
    before: usize,
    width: usize,
}

impl Problem {
    pub(super) fn new(finding: Finding, text: &str, mask: &Mask) -> Self {
        let Finding {
            severity,
            at,
            message,
        } = finding;
        let excerpt = excerpt(at, text, mask);
        Self {
            severity,
            line: at.line,
            column: at.column,
            message,
            excerpt,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}", self.message)?;
        let Some(excerpt) = &self.excerpt else {
            return Ok(());
        };
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        write!(f, "\n {number} | {}", excerpt.text)?;
        write!(
            f,
            "\n {margin} | {}{}",
            " ".repeat(excerpt.before),
            "^".repeat(excerpt.width)
        )
    }
}

/// The line of `at`, or `None` where it has none or nothing of it may be shown. The line is found by characters, not
/// by counting lines, because the mask counts characters.
fn excerpt(at: Span, text: &str, mask: &Mask) -> Option<Excerpt> {
    let column = at.column.checked_sub(1)?;
    let line_start = at.start.saturating_sub(column);
    let line: String = text
        .chars()
        .skip(line_start)
        .take_while(|c| !matches!(c, '\n' | '\r'))
        .collect();
    let rest = line.chars().count().saturating_sub(column);
    let width = at.end.saturating_sub(at.start).min(rest).max(1);
    let masked = mask.line(&line, line_start, column, width)?;
    // Tabs would put the caret elsewhere than the eye.
    let shown: Vec<char> = masked
        .text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let skip = if masked.column + masked.width > LINE_CHARS_MAX {
        masked.column.saturating_sub(20)
    } else {
        0
    };
    let text: String = shown.iter().skip(skip).take(LINE_CHARS_MAX).collect();
    let before = masked.column - skip;
    let width = masked.width.min(LINE_CHARS_MAX.saturating_sub(before)).max(1);
    Some(Excerpt {
        text: text.trim_end().to_owned(),
        before,
        width,
    })
}

/// Everything found in a file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The file.
    pub path: PathBuf,
    /// In the file's order; at least one is an error.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write_at(f, &self.path, problem)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Writes `path:line:column: error: …`, the form editors and terminals jump by.
pub(super) fn write_at(f: &mut impl fmt::Write, path: &std::path::Path, problem: &Problem) -> fmt::Result {
    write!(f, "{}", path.display())?;
    if problem.line > 0 {
        write!(f, ":{}:{}", problem.line, problem.column)?;
    }
    write!(f, ": {problem}")
}
