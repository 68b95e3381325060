//! A configuration file as a tree of text with positions. JSON is YAML, so one reader serves both.
//!
//! Not here: what the keys mean. Scalars stay the text they were written as: `001` is `001` until a key wants a
//! number.

use std::{borrow::Cow, collections::HashMap};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

/// Nodes a file may have once its aliases are followed: an alias bomb is refused, no real file comes near.
pub const NODES_MAX: usize = 200_000;
/// Levels of nesting a file may have.
pub const DEPTH_MAX: usize = 64;

/// A stretch of the file. Lines and columns count from 1, in characters; 0 means "no place in the file".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) line: usize,
    pub(super) column: usize,
    /// Characters from the start of the file.
    pub(super) start: usize,
    /// Characters from the start of the file to the end of the stretch.
    pub(super) end: usize,
}

impl Span {
    fn between(start: &Marker, end: &Marker) -> Self {
        Self {
            line: start.line().max(1),
            column: start.col() + 1,
            start: start.index(),
            end: end.index().max(start.index()),
        }
    }

    /// Its first character alone.
    pub(super) fn start_only(self) -> Self {
        Self {
            end: self.start + 1,
            ..self
        }
    }
}

/// One value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) span: Span,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    /// Keys in the file's order; a key may stand there twice.
    Map(Vec<(Node, Node)>),
}

/// A text as it was written, quotes and escapes resolved.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Neither quoted nor a block: only such a text can mean "nothing".
    pub(super) is_plain: bool,
    /// Characters between the start of the span and the first of the text.
    pub(super) lead: usize,
}

/// Why a text is not YAML.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) at: Span,
}

impl Node {
    /// The text of a scalar.
    pub(super) fn scalar_text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// Whether it is absent, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar(scalar) => {
                scalar.is_plain && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    fn nodes(&self) -> usize {
        1 + match &self.content {
            Content::Scalar(_) => 0,
            Content::List(items) => items.iter().map(Node::nodes).sum(),
            Content::Map(pairs) => pairs.iter().map(|(key, value)| key.nodes() + value.nodes()).sum(),
        }
    }
}

/// Reads one document.
///
/// # Errors
/// What is not YAML, more than one document, tags of applications, and more than [`NODES_MAX`] nodes or
/// [`DEPTH_MAX`] levels.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let chars: Vec<char> = text.chars().collect();
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| SyntaxError {
            message: error.info().to_owned(),
            at: Span::between(error.marker(), error.marker()).start_only(),
        })?;
        let mut at = Span::between(&span.start, &span.end);
        if let Event::Scalar(_, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted, ..) = event {
            at.end = quoted_end(&chars, at).unwrap_or(at.end);
        }
        builder.take(event, at).map_err(|message| SyntaxError {
            message,
            at: at.start_only(),
        })?;
    }
    Ok(builder.root.unwrap_or(Node {
        content: Content::Scalar(Scalar {
            text: String::new(),
            is_plain: true,
            lead: 0,
        }),
        span: Span {
            line: 1,
            column: 1,
            start: 0,
            end: 0,
        },
    }))
}

/// The end of a quoted text, just behind its quote: the parser counts the white space and comment behind it in.
fn quoted_end(chars: &[char], at: Span) -> Option<usize> {
    let quote = *chars.get(at.start)?;
    let mut index = at.start + 1;
    while index < at.end {
        let is_escape = match quote {
            '"' => chars.get(index) == Some(&'\\'),
            _ => chars.get(index) == Some(&'\'') && chars.get(index + 1) == Some(&'\''),
        };
        if is_escape {
            index += 2;
        } else if chars.get(index) == Some(&quote) {
            return Some(index + 1);
        } else {
            index += 1;
        }
    }
    None
}

/// Puts events together.
#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    documents: usize,
}

/// A list or mapping whose end has not come.
struct Open {
    anchor: usize,
    span: Span,
    children: Children,
}

enum Children {
    List(Vec<Node>),
    Map(Vec<(Node, Node)>, Option<Node>),
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Span) -> Result<(), String> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err("a second document begins here; a configuration is one document".into());
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.as_deref())?;
                let lead = match style {
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
                    _ => 0,
                };
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                let scalar = Scalar {
                    text: text.into_owned(),
                    is_plain,
                    lead,
                };
                self.add(
                    Node {
                        content: Content::Scalar(scalar),
                        span: at,
                    },
                    anchor,
                )?;
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref())?;
                self.open(anchor, at, Children::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref())?;
                self.open(anchor, at, Children::Map(Vec::new(), None))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(at)?,
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err("this alias stands inside what it names".into());
                };
                self.nodes += node.nodes();
                self.add(node, 0)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn open(&mut self, anchor: usize, span: Span, children: Children) -> Result<(), String> {
        if self.open.len() >= DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} levels of nesting"));
        }
        self.open.push(Open {
            anchor,
            span,
            children,
        });
        Ok(())
    }

    fn close(&mut self, at: Span) -> Result<(), String> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let content = match open.children {
            Children::List(items) => Content::List(items),
            Children::Map(pairs, _) => Content::Map(merge(pairs)),
        };
        let span = Span {
            end: at.end.max(open.span.start),
            ..open.span
        };
        self.add(Node { content, span }, open.anchor)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(format!("more than {NODES_MAX} values"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.children) {
            None => self.root = Some(node),
            Some(Children::List(items)) => items.push(node),
            Some(Children::Map(pairs, key)) => match key.take() {
                None => *key = Some(node),
                Some(key) => pairs.push((key, node)),
            },
        }
        Ok(())
    }
}

/// The reference's reader knows merge keys (`<<: *defaults`), so files may hold them: what the mapping says itself
/// comes first.
fn merge(pairs: Vec<(Node, Node)>) -> Vec<(Node, Node)> {
    let (merges, mut own): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, value)| {
        matches!(&key.content, Content::Scalar(scalar) if scalar.is_plain && scalar.text == "<<")
            && !matches!(value.content, Content::Scalar(_))
    });
    for (_, from) in merges {
        let maps = match from.content {
            Content::List(items) => items,
            _ => vec![from],
        };
        for map in maps {
            let Content::Map(pairs) = map.content else {
                continue;
            };
            for (key, value) in pairs {
                if !own
                    .iter()
                    .any(|(known, _)| known.scalar_text() == key.scalar_text())
                {
                    own.push((key, value));
                }
            }
        }
    }
    own
}

fn refuse_tag(tag: Option<&Tag>) -> Result<(), String> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() => Err(format!(
            "the tag {tag} means nothing here; for values from elsewhere there are ${{VAR}} and password_file"
        )),
        _ => Ok(()),
    }
}

impl Scalar {
    /// The place of the byte `offset` of the text, where the file holds the text letter by letter on one line;
    /// otherwise the whole of `span`.
    pub(super) fn place(&self, span: Span, offset: usize) -> Span {
        let Some(before) = self.text.get(..offset) else {
            return span;
        };
        let is_literal = span.end - span.start == self.text.chars().count() + 2 * self.lead;
        if !is_literal || self.text.contains('\n') {
            return span;
        }
        let skipped = self.lead + before.chars().count();
        Span {
            line: span.line,
            column: span.column + skipped,
            start: span.start + skipped,
            end: span.start + skipped + 1,
        }
    }
}

/// What usually helps against a syntax error at a line that looks like this one.
pub(super) fn advice(text: &str, at: Span) -> &'static str {
    let line = text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default();
    let value = line.trim_start().trim_start_matches("- ").trim_start();
    if line.contains('\\') && line.contains('"') {
        "; in 'single quotes' a backslash is itself"
    } else if line.contains("${") && (line.contains(['[', ','])) {
        "; inside [ ] and { } a value with ${…} must be quoted"
    } else if value.starts_with(['*', '&', '!', '%', '@', '`', '?', '|', '>', '[', '{']) {
        "; a value that begins with this character must be quoted"
    } else if line.starts_with([' ', '\t']) && line.trim_start_matches(' ').starts_with('\t') {
        "; indent with spaces"
    } else {
        ""
    }
}

/// JSON writes what lies beyond U+FFFF as two escapes (RFC 8259 §7), which YAML does not know; its own escape for it
/// is one. Only in a file that is JSON: elsewhere a backslash may be a backslash.
pub(super) fn join_surrogates(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with('{') {
        return Cow::Borrowed(text);
    }
    let mut joined = String::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.find('\\').and_then(|at| rest.split_at_checked(at)) {
        joined.push_str(before);
        if let Some(character) = surrogate_pair(escape) {
            joined.push_str(&format!("\\U{:08X}", u32::from(character)));
            rest = escape.get(12..).unwrap_or_default();
        } else {
            // The backslash and what it escapes: `\\\\ud83d` is a backslash and four letters.
            let length = 1 + escape.chars().nth(1).map_or(0, char::len_utf8);
            let (kept, after) = escape.split_at_checked(length).unwrap_or((escape, ""));
            joined.push_str(kept);
            rest = after;
        }
    }
    if joined.is_empty() {
        return Cow::Borrowed(text);
    }
    joined.push_str(rest);
    Cow::Owned(joined)
}

/// The character of `\uD83D\uDE00` at the start of `text`.
fn surrogate_pair(text: &str) -> Option<char> {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?, 16).ok();
    let pair = [unit(text.get(..6)?)?, unit(text.get(6..12)?)?];
    let is_pair = (0xD800..0xDC00).contains(&pair[0]);
    char::decode_utf16(pair).next()?.ok().filter(|_| is_pair)
}
