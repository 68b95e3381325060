//! Bytes to entries, in any division of the bytes and in constant memory.
//!
//! How lines make an entry: `#EXTINF` begins one, option lines before or after it add to it, the next address ends
//! it. A second address without an `#EXTINF` of its own is a spare of the same channel. In a list that has no
//! `#EXTINF` so far, every absolute address is an entry named after itself.

use crate::attribute::{self, Comma};
use crate::headers::split_address;
use crate::report::MALFORMED_SAMPLES_MAX;
use crate::text::{decode, strip_prefix_any_case};
use crate::{Ending, Entry, Headers, LooksLike, Reason, Report, Sample};

/// The longest line that is read, in bytes without its line end. A longer one costs its entry.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// So many player properties of one entry are kept.
const PROPERTIES_MAX: usize = 64;

/// Reads a channel list pushed in any division.
#[derive(Debug, Default)]
pub struct Reader {
    /// The line that the bytes so far end in, at most [`LINE_BYTES_MAX`] of it.
    partial: Vec<u8>,
    /// The line goes on beyond [`LINE_BYTES_MAX`].
    too_long: bool,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_cr: bool,
    entries: Entries,
}

impl Reader {
    /// A reader at the start of a list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the list and hands every entry that is complete to `sink`.
    ///
    /// An entry is complete when the line after its address is known.
    pub fn push(&mut self, bytes: &[u8], sink: &mut impl FnMut(Entry)) {
        let mut rest = bytes;
        if self.after_cr
            && let Some(tail) = rest.strip_prefix(b"\n")
        {
            rest = tail;
        }
        if !bytes.is_empty() {
            self.after_cr = bytes.ends_with(b"\r");
        }
        while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
            let (line, tail) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            rest = tail
                .strip_prefix(b"\r\n")
                .or_else(|| tail.get(1..))
                .unwrap_or_default();
            self.end_line(line, sink);
        }
        self.keep(rest);
    }

    /// Ends the list: hands out the last entry and says what was seen.
    pub fn finish(mut self, sink: &mut impl FnMut(Entry)) -> Report {
        let mid_line = !self.partial.is_empty();
        if mid_line {
            self.end_line(&[], sink);
        }
        self.entries.finish(mid_line, sink)
    }

    /// What was seen so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.entries.report
    }

    /// Reads a whole list that is already in memory.
    #[must_use]
    pub fn read(bytes: &[u8]) -> (Vec<Entry>, Report) {
        let mut entries = Vec::new();
        let mut reader = Self::new();
        reader.push(bytes, &mut |entry| entries.push(entry));
        let report = reader.finish(&mut |entry| entries.push(entry));
        (entries, report)
    }

    /// Keeps the start of a line whose end is still to come.
    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.partial.len().min(LINE_BYTES_MAX);
        self.too_long |= bytes.len() > room;
        self.partial.extend(bytes.iter().take(room));
    }

    /// A line is complete: what was kept and then `tail`.
    fn end_line(&mut self, tail: &[u8], sink: &mut impl FnMut(Entry)) {
        if self.partial.is_empty() && tail.len() <= LINE_BYTES_MAX {
            return self.entries.line(&decode(tail), false, sink);
        }
        self.keep(tail);
        let line = std::mem::take(&mut self.partial);
        self.entries
            .line(&decode(&line), std::mem::take(&mut self.too_long), sink);
        // The allocation serves the next line.
        self.partial = line;
        self.partial.clear();
    }
}

/// Lines to entries.
#[derive(Debug, Default)]
struct Entries {
    /// `#EXTINF` whose address has not come, with its line number.
    begun: Option<(u64, Entry)>,
    /// What option lines said for the next address.
    options: Options,
    /// The last entry, kept until it is known whether a spare address follows.
    held: Option<Held>,
    /// An overlong line took the `#EXTINF` that the next address would belong to.
    lost: bool,
    saw_extinf: bool,
    saw_attributes: bool,
    report: Report,
}

/// What option lines say about the next address.
#[derive(Debug, Default)]
struct Options {
    group: Option<String>,
    headers: Headers,
    properties: Vec<(String, String)>,
}

#[derive(Debug)]
struct Held {
    entry: Entry,
    /// The headers without those of its own address, which a spare does not share.
    declared: Headers,
}

impl Entries {
    fn line(&mut self, text: &str, too_long: bool, sink: &mut impl FnMut(Entry)) {
        self.report.lines += 1;
        let text = text.trim();
        if too_long {
            return self.overlong(text);
        }
        if text.is_empty() {
            return;
        }
        if self.report.looks_like.is_some() && !self.is_a_list_after_all(text) {
            return;
        }
        if text.starts_with('#') {
            self.directive(text, sink);
        } else {
            self.address(text, sink);
        }
    }

    /// Panels print warnings before a list.
    fn is_a_list_after_all(&mut self, text: &str) -> bool {
        let begins = ["#EXTM3U", "#EXTINF:"]
            .iter()
            .any(|tag| strip_prefix_any_case(text, tag).is_some());
        if begins && self.report.looks_like != Some(LooksLike::Hls) {
            self.report.looks_like = None;
        }
        self.report.looks_like.is_none()
    }

    fn directive(&mut self, text: &str, sink: &mut impl FnMut(Entry)) {
        let strip = |tag| strip_prefix_any_case(text, tag);
        if let Some(rest) = strip("#EXTINF") {
            self.extinf(rest, sink);
        } else if let Some(rest) = strip("#EXTM3U") {
            self.header(rest, sink);
        } else if let Some(group) = strip("#EXTGRP:") {
            self.options.group = Some(group.trim().to_owned()).filter(|group| !group.is_empty());
        } else if let Some(option) = strip("#EXTVLCOPT:") {
            self.options.vlc(option);
        } else if let Some(property) = strip("#KODIPROP:") {
            self.options.kodi(property);
        } else if let Some(object) = strip("#EXTHTTP:") {
            self.options.headers.set_json(object);
        } else if strip("#EXT-X-TARGETDURATION")
            .or_else(|| strip("#EXT-X-STREAM-INF"))
            .is_some()
            && !self.saw_attributes
        {
            // Channel lists that quote such a tag among described channels stay channel lists.
            self.report.looks_like = Some(LooksLike::Hls);
        }
    }

    fn header(&mut self, rest: &str, sink: &mut impl FnMut(Entry)) {
        self.release(sink);
        self.report.saw_header = true;
        for (key, value) in attribute::parse(rest, Comma::IsText).pairs {
            self.report.header.set(key, value);
        }
    }

    fn extinf(&mut self, rest: &str, sink: &mut impl FnMut(Entry)) {
        self.release(sink);
        if let Some((line, _)) = self.begun.take() {
            self.malformed(line, Reason::MissingUrl);
            // The options in between came after the lost #EXTINF and described its address.
            self.options = Options::default();
        }
        self.saw_extinf = true;
        self.lost = false;
        let (duration, rest) = duration(rest);
        let parsed = attribute::parse(rest, Comma::BeginsName);
        self.saw_attributes |= !parsed.pairs.is_empty();
        let mut entry = Entry {
            name: parsed.name.to_owned(),
            duration,
            ..Entry::default()
        };
        for (key, value) in parsed.pairs {
            entry.attributes.set(key, value);
        }
        self.begun = Some((self.report.lines, entry));
    }

    fn address(&mut self, text: &str, sink: &mut impl FnMut(Entry)) {
        let absolute = has_scheme(text);
        if !absolute && self.is_something_else(text) {
            return;
        }
        let is_relative = self.saw_extinf && !text.contains(char::is_whitespace);
        let (url, pairs) = split_address(text);
        if !(absolute || is_relative) || url.is_empty() || url.contains(char::is_control) {
            return self.malformed(self.report.lines, Reason::NotAnAddress);
        }
        if self.lost {
            return;
        }
        let (mut entry, declared) = self.described(url);
        self.release(sink);
        url.clone_into(&mut entry.url);
        entry.headers = declared.clone();
        entry.headers.set_pairs(pairs);
        self.held = Some(Held { entry, declared });
    }

    /// The entry that the next address ends, and the headers that option lines declare for it.
    fn described(&mut self, url: &str) -> (Entry, Headers) {
        let options = std::mem::take(&mut self.options);
        let mut declared = Headers::default();
        let mut entry = match (self.begun.take(), &self.held) {
            (Some((_, entry)), _) => entry,
            (None, Some(held)) if self.saw_extinf => {
                declared.clone_from(&held.declared);
                held.entry.clone()
            }
            _ => Entry {
                name: name_of(url).to_owned(),
                ..Entry::default()
            },
        };
        declared.merge(&options.headers);
        entry.attributes.group_title = entry.attributes.group_title.take().or(options.group);
        entry.properties.extend(options.properties);
        entry.properties.truncate(PROPERTIES_MAX);
        (entry, declared)
    }

    /// Whether the first line that is no comment gives another kind of document away.
    fn is_something_else(&mut self, text: &str) -> bool {
        if self.saw_extinf || self.report.entries > 0 || self.held.is_some() {
            return false;
        }
        let after_bracket = text.strip_prefix('[').map(str::trim_start);
        self.report.looks_like = if text.starts_with('<') {
            Some(LooksLike::Html)
        } else if text.starts_with('{')
            || after_bracket.is_some_and(|rest| rest.is_empty() || rest.starts_with(['{', ']', '"', '[']))
        {
            Some(LooksLike::Json)
        } else {
            None
        };
        self.report.looks_like.is_some()
    }

    fn overlong(&mut self, start: &str) {
        if self.report.looks_like.is_some() || (!start.starts_with('#') && self.is_something_else(start)) {
            return;
        }
        let is_extinf = strip_prefix_any_case(start, "#EXTINF").is_some();
        if start.starts_with('#') && !is_extinf {
            return;
        }
        if is_extinf && let Some((line, _)) = self.begun.take() {
            self.malformed(line, Reason::MissingUrl);
        }
        self.malformed(self.report.lines, Reason::LineTooLong);
        self.saw_extinf |= is_extinf;
        self.lost = true;
        self.begun = None;
        self.options = Options::default();
    }

    /// Hands out the last entry.
    fn release(&mut self, sink: &mut impl FnMut(Entry)) {
        if let Some(held) = self.held.take()
            && self.report.looks_like.is_none()
        {
            self.report.entries += 1;
            sink(held.entry);
        }
    }

    fn malformed(&mut self, line: u64, reason: Reason) {
        let malformed = &mut self.report.malformed;
        malformed.count += 1;
        if malformed.samples.len() < MALFORMED_SAMPLES_MAX {
            malformed.samples.push(Sample { line, reason });
        }
    }

    fn finish(mut self, mid_line: bool, sink: &mut impl FnMut(Entry)) -> Report {
        self.release(sink);
        self.report.ending = if mid_line { Ending::MidLine } else { Ending::Clean };
        if let Some((line, _)) = self.begun.take()
            && self.report.looks_like.is_none()
        {
            self.report.ending = Ending::MidEntry;
            self.malformed(line, Reason::MissingUrl);
        }
        self.report
    }
}

impl Options {
    fn vlc(&mut self, option: &str) {
        let Some((key, value)) = option.split_once('=') else {
            return;
        };
        let key = key.trim().to_ascii_lowercase();
        // Some lists quote the value as on a command line.
        let value = value.trim().trim_matches('"');
        match key.as_str() {
            "http-user-agent" => self.headers.set("User-Agent", value),
            "http-referrer" | "http-referer" => self.headers.set("Referer", value),
            "http-origin" => self.headers.set("Origin", value),
            "http-cookie" | "http-cookies" => self.headers.set("Cookie", value),
            _ => self.property(&key, value),
        }
    }

    fn kodi(&mut self, property: &str) {
        let Some((key, value)) = property.split_once('=') else {
            return;
        };
        let key = key.trim().to_ascii_lowercase();
        match key.strip_prefix("inputstream.adaptive.") {
            Some("stream_headers" | "manifest_headers" | "common_headers") => {
                self.headers.set_pairs(value.trim());
            }
            _ => self.property(&key, value.trim()),
        }
    }

    fn property(&mut self, key: &str, value: &str) {
        if !key.is_empty() && self.properties.len() < PROPERTIES_MAX {
            self.properties.push((key.to_owned(), value.to_owned()));
        }
    }
}

/// The duration at the start of what follows `#EXTINF`, and the rest.
fn duration(text: &str) -> (Option<f64>, &str) {
    let text = text.strip_prefix(':').unwrap_or(text).trim_start();
    let end = text
        .find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.'))
        .unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (
        number.parse::<f64>().ok().filter(|seconds| seconds.is_finite()),
        rest,
    )
}

/// RFC 3986 §3.1, followed by `://`.
fn has_scheme(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

/// What an address without a description is called: its last path segment, never its query, which may hold a login.
fn name_of(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/')
        .find(|segment| !segment.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
