//! Which stretches of a file must not be printed.
//!
//! What is known to be harmless is shown, all else is hidden: a misspelt `pasword` hides its value too.

use std::ops::Range;

use catalog::secret::StreamUrl;

use super::{
    reader::is_shown,
    section::Shape,
    tree::{Content, Node},
};

/// What stands for a hidden stretch.
const HIDDEN: &str = "***";

/// Hidden stretches of one file.
pub(super) enum Mask {
    /// The file is a tree.
    Known {
        /// Stretches, in characters from the start of the file, with what is shown instead; sorted, apart.
        hidden: Vec<(Range<usize>, String)>,
        /// What stands there: a second lock, should a stretch ever be off.
        values: Vec<String>,
    },
    /// The file is no tree, so a line is shown only where it begins with one of these keys.
    Unknown {
        harmless: Vec<&'static str>,
        /// Keys with secrets: shown where nothing stands behind them.
        harmful: Vec<&'static str>,
    },
}

/// A line fit to be printed, and the stretch to point at.
pub(super) struct MaskedLine {
    pub(super) text: String,
    pub(super) column: usize,
    pub(super) width: usize,
}

impl Mask {
    /// The mask of a tree whose root looks like `shape`.
    pub(super) fn new(root: &Node, shape: &Shape) -> Self {
        let mut found = Vec::new();
        hide(root, Some(shape), &mut found);
        found.sort_by_key(|(range, ..)| (range.start, range.end));
        // A host alone is shown as it is; a very short value would hide half the file.
        let is_lock = |shown: &str, value: &str| value.len() >= 4 && !shown.contains(value);
        let values = found
            .iter()
            .filter(|(_, shown, value)| is_lock(shown, value))
            .map(|(_, _, value)| value.clone())
            .collect();
        let mut hidden: Vec<(Range<usize>, String)> = Vec::new();
        for (range, shown, _) in found {
            match hidden.last_mut() {
                Some((last, shown)) if range.start < last.end => {
                    last.end = last.end.max(range.end);
                    HIDDEN.clone_into(shown);
                }
                _ => hidden.push((range, shown)),
            }
        }
        Self::Known { hidden, values }
    }

    /// The mask of a file that is no tree, but should have looked like `shape`.
    pub(super) fn unknown(shape: &Shape) -> Self {
        let (mut harmless, mut harmful) = (Vec::new(), Vec::new());
        sort_keys(shape, &mut harmless, &mut harmful);
        harmless.retain(|name| !harmful.contains(name));
        Self::Unknown { harmless, harmful }
    }

    /// `line` starts `start` characters into the file. `None` where nothing of it may be shown.
    pub(super) fn line(&self, line: &str, start: usize, column: usize, width: usize) -> Option<MaskedLine> {
        match self {
            Self::Known { hidden, values } => {
                let masked = mask_stretches(line, start, column, width, hidden);
                let leaks = values.iter().any(|value| masked.text.contains(value.as_str()));
                (!leaks).then_some(masked)
            }
            Self::Unknown { harmless, harmful } => {
                is_harmless_line(line, harmless, harmful).then(|| MaskedLine {
                    text: line.to_owned(),
                    column,
                    width,
                })
            }
        }
    }
}

/// Whether a line of a file that is no tree holds nothing but structure, or one key with a value that may be shown.
fn is_harmless_line(line: &str, harmless: &[&str], harmful: &[&str]) -> bool {
    if line.chars().all(|c| "-{}[],: \t".contains(c)) {
        return true;
    }
    let text = line.trim_start().trim_start_matches("- ").trim();
    let Some((key, value)) = text.split_once(':') else {
        return false;
    };
    let key = key.trim_end().trim_matches(['"', '\'']);
    if value.is_empty() {
        return harmless.contains(&key) || harmful.contains(&key);
    }
    // A flow mapping, or lines run together, may hold a password further on.
    harmless.contains(&key) && !value.contains([':', '{', ',', '@', '#', '/'])
}

/// Splits the names of keys by whether their values may be shown.
fn sort_keys(shape: &Shape, harmless: &mut Vec<&'static str>, harmful: &mut Vec<&'static str>) {
    match shape {
        Shape::List(item) => sort_keys(item, harmless, harmful),
        Shape::Section { keys, .. } => {
            for key in keys {
                match key.shape {
                    Shape::Secret | Shape::SecretUrl | Shape::SecretMap => harmful.push(key.name),
                    _ => harmless.push(key.name),
                }
                sort_keys(&key.shape, harmless, harmful);
            }
        }
        _ => {}
    }
}

/// Adds the stretches of `node` that must be hidden, what is shown there, and what stands there.
fn hide(node: &Node, shape: Option<&Shape>, found: &mut Vec<(Range<usize>, String, String)>) {
    match (&node.content, shape) {
        (Content::Map(pairs), Some(Shape::Section { keys, .. })) => {
            for (name, value) in pairs {
                let key = keys.iter().find(|key| Some(key.name) == name.scalar_text());
                if key.is_none() && !name.scalar_text().is_some_and(|name| is_shown(name, value)) {
                    hide(name, None, found);
                }
                hide(value, key.map(|key| &key.shape), found);
            }
        }
        (Content::Map(pairs), _) => pairs.iter().for_each(|(name, value)| {
            if !matches!(shape, Some(Shape::SecretMap)) {
                hide(name, None, found);
            }
            hide(value, None, found);
        }),
        (Content::List(items), Some(Shape::List(item))) => {
            items.iter().for_each(|node| hide(node, Some(item), found));
        }
        (Content::List(items), _) => items.iter().for_each(|node| hide(node, None, found)),
        (Content::Scalar(scalar), shape) => {
            let shown = match shape {
                Some(Shape::SecretUrl) => StreamUrl::new(scalar.text.as_str()).redacted(),
                Some(Shape::Secret | Shape::SecretMap | Shape::List(_) | Shape::Section { .. }) | None => {
                    HIDDEN.to_owned()
                }
                Some(_) => return,
            };
            if !node.is_null() {
                found.push((node.span.start..node.span.end, shown, scalar.text.clone()));
            }
        }
    }
}

/// Replaces the hidden stretches of one line, cuts a comment after them, and moves the stretch to point at along.
fn mask_stretches(
    line: &str,
    start: usize,
    column: usize,
    width: usize,
    hidden: &[(Range<usize>, String)],
) -> MaskedLine {
    let chars: Vec<char> = line.chars().collect();
    let (from, to) = (column, column + width);
    let mut masked = MaskedLine {
        text: String::new(),
        column,
        width,
    };
    let mut length = 0;
    let mut at = 0;
    for (range, shown) in hidden {
        let low = range.start.saturating_sub(start).min(chars.len());
        let high = range.end.saturating_sub(start).min(chars.len());
        if low >= high {
            continue;
        }
        let open: String = chars.iter().take(low).skip(at).collect();
        length += low.saturating_sub(at);
        masked.text.push_str(&open);
        let shown_length = shown.chars().count();
        if from >= low && from < high {
            // Pointing into what is hidden would tell where in it.
            (masked.column, masked.width) = (length, shown_length);
        } else if from >= high {
            masked.column = masked.column + shown_length - (high - low).min(masked.column + shown_length);
        } else if to > low {
            masked.width = (length + shown_length).saturating_sub(masked.column);
        }
        masked.text.push_str(shown);
        length += shown_length;
        at = high;
    }
    let tail: String = chars.iter().skip(at).collect();
    let is_anything_hidden = at > 0;
    match tail.find(" #") {
        // The comment behind a password is as often as not the old password.
        Some(comment) if is_anything_hidden => masked.text.extend(tail.get(..comment)),
        _ => masked.text.push_str(&tail),
    }
    masked.column = masked.column.min(masked.text.chars().count());
    masked
}
