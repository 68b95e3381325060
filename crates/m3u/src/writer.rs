//! Entries to bytes, strict enough for every player: one blank between attributes, no quotes in values, a fixed
//! order, one line each.

use std::borrow::Cow;
use std::fmt;

use crate::attribute::is_key_char;
use crate::{Attributes, Catchup, Entry, Header, Headers};

/// Writes a channel list into any text sink.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
}

impl<W: fmt::Write> Writer<W> {
    /// Starts a list by writing `#EXTM3U` with the header's attributes.
    ///
    /// The guide addresses go out as `url-tvg` and `x-tvg-url`: players read one or the other.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn new(out: W, header: &Header) -> Result<Self, fmt::Error> {
        let mut writer = Self { out };
        writer.out.write_str("#EXTM3U")?;
        let guides = header.guide_urls.join(",");
        writer.optional("url-tvg", Some(&guides))?;
        writer.optional("x-tvg-url", Some(&guides))?;
        writer.number("tvg-shift", header.tvg_shift)?;
        writer.catchup(&header.catchup)?;
        writer.others(&header.others)?;
        writer.out.write_char('\n')?;
        Ok(writer)
    }

    /// Goes on with a list whose header is written already, for lists that are sent in pieces.
    #[must_use]
    pub fn after_header(out: W) -> Self {
        Self { out }
    }

    /// Writes one entry: `#EXTINF`, its option lines, its address.
    ///
    /// The four attributes every player looks for are written even when empty.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn entry(&mut self, entry: &Entry) -> fmt::Result {
        write!(self.out, "#EXTINF:{}", entry.duration.unwrap_or(-1.0))?;
        self.attributes(&entry.attributes)?;
        self.out.write_char(',')?;
        self.line(entry.name.trim())?;
        self.headers(&entry.headers)?;
        for (key, value) in &entry.properties {
            self.out.write_str("#KODIPROP:")?;
            self.out.write_str(&one_line(key))?;
            self.out.write_char('=')?;
            self.line(value)?;
        }
        self.address(&entry.url)
    }

    /// The sink back.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn attributes(&mut self, attributes: &Attributes) -> fmt::Result {
        self.always("tvg-id", attributes.tvg_id.as_deref())?;
        self.always("tvg-name", attributes.tvg_name.as_deref())?;
        // An empty number is read as channel 0 by some players, so it is left out.
        self.optional("tvg-chno", attributes.tvg_chno.as_deref())?;
        self.always("tvg-logo", attributes.tvg_logo.as_deref())?;
        self.always("group-title", attributes.group_title.as_deref())?;
        self.optional("tvg-language", attributes.tvg_language.as_deref())?;
        self.optional("tvg-country", attributes.tvg_country.as_deref())?;
        self.number("tvg-shift", attributes.tvg_shift)?;
        self.optional("radio", attributes.radio.then_some("true"))?;
        self.catchup(&attributes.catchup)?;
        self.others(&attributes.others)
    }

    fn catchup(&mut self, catchup: &Catchup) -> fmt::Result {
        self.optional("catchup", catchup.mode.as_deref())?;
        if let Some(days) = catchup.days {
            write!(self.out, " catchup-days=\"{days}\"")?;
        }
        self.optional("catchup-source", catchup.source.as_deref())?;
        self.number("catchup-correction", catchup.correction)
    }

    fn others(&mut self, others: &[(String, String)]) -> fmt::Result {
        for (key, value) in others {
            if !key.is_empty() && key.chars().all(is_key_char) {
                self.optional(key, Some(value))?;
            }
        }
        Ok(())
    }

    fn headers(&mut self, headers: &Headers) -> fmt::Result {
        for (option, value) in [
            ("http-user-agent", &headers.user_agent),
            ("http-referrer", &headers.referer),
        ] {
            if let Some(value) = value {
                write!(self.out, "#EXTVLCOPT:{option}=")?;
                self.line(value)?;
            }
        }
        if headers.others.is_empty() {
            return Ok(());
        }
        let json = |text: &str| one_line(text).replace('\\', "\\\\").replace('"', "\\\"");
        let pairs = headers
            .others
            .iter()
            .map(|(name, value)| format!("\"{}\":\"{}\"", json(name), json(value)));
        writeln!(self.out, "#EXTHTTP:{{{}}}", pairs.collect::<Vec<_>>().join(","))
    }

    fn always(&mut self, key: &str, value: Option<&str>) -> fmt::Result {
        let value = one_line(value.unwrap_or_default());
        let value = if value.contains('"') {
            Cow::Owned(value.replace('"', "'"))
        } else {
            value
        };
        for part in [" ", key, "=\"", &value, "\""] {
            self.out.write_str(part)?;
        }
        Ok(())
    }

    fn optional(&mut self, key: &str, value: Option<&str>) -> fmt::Result {
        match value {
            Some(value) if !value.is_empty() => self.always(key, Some(value)),
            _ => Ok(()),
        }
    }

    fn number(&mut self, key: &str, value: Option<f64>) -> fmt::Result {
        match value {
            Some(value) => write!(self.out, " {key}=\"{value}\""),
            None => Ok(()),
        }
    }

    /// A blank would end the address for some players, a bar begins Kodi's headers.
    fn address(&mut self, url: &str) -> fmt::Result {
        let url = one_line(url.trim());
        if url.contains([' ', '|']) {
            return self.line(&url.replace(' ', "%20").replace('|', "%7C"));
        }
        self.line(&url)
    }

    fn line(&mut self, text: &str) -> fmt::Result {
        self.out.write_str(&one_line(text))?;
        self.out.write_char('\n')
    }
}

/// Bytes of a text that are looked at together.
const LOOKED_AT_ONCE: usize = 64;

/// Without line ends and other control characters, which end a line for some players.
fn one_line(text: &str) -> Cow<'_, str> {
    // The first bytes of what is taken out; nearly no text has any of them.
    let suspicious = |byte: u8| (byte < 0x20) | (byte == 0x7f) | (byte == 0xc2) | (byte == 0xe2);
    // Many bytes at once: half a million entries are five million texts.
    let is_plain = |bytes: &[u8]| !bytes.iter().fold(false, |any, byte| any | suspicious(*byte));
    if text.as_bytes().chunks(LOOKED_AT_ONCE).all(is_plain) {
        return Cow::Borrowed(text);
    }
    let kept = |c: &char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
    Cow::Owned(text.chars().filter(kept).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reader;

    fn written(header: &Header, entries: &[Entry]) -> String {
        let mut writer = Writer::new(String::new(), header).unwrap();
        for entry in entries {
            writer.entry(entry).unwrap();
        }
        writer.into_inner()
    }

    fn rich() -> Entry {
        let list = "#EXTINF:-1 tvg-id=\"bbc1.uk\" tvg-name=\"BBC One\" tvg-chno=\"5.1\" tvg-logo=\"http://l/1.png\" \
            group-title=\"UK;News\" tvg-language=\"en\" tvg-country=\"GB\" tvg-shift=\"-1.5\" radio=\"true\" \
            catchup=\"xc\" catchup-days=\"7\" catchup-source=\"?u={utc}\" catchup-correction=\"2\" parent-code=\"x\",\
            BBC \"One\", HD\n#EXTVLCOPT:http-user-agent=VLC\n#EXTVLCOPT:http-referrer=http://r/\n\
            #EXTHTTP:{\"Cookie\":\"a=\\\"b\\\"\"}\n#KODIPROP:k=v\nhttp://h/live/u/p/1.ts\n";
        Reader::read(list.as_bytes()).0.remove(0)
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let header = Header {
            guide_urls: vec!["http://g/1.xml".to_owned(), "http://g/2.xml".to_owned()],
            tvg_shift: Some(1.0),
            catchup: Catchup {
                mode: Some("shift".to_owned()),
                ..Catchup::default()
            },
            others: vec![("refresh".to_owned(), "3600".to_owned())],
        };
        let plain = Entry {
            name: "ä, ✦".to_owned(),
            url: "http://h/2".to_owned(),
            ..Entry::default()
        };
        let plain = Entry {
            duration: Some(0.0),
            ..plain
        };
        let entries = [rich(), plain];
        assert!(entries.iter().all(|entry| !entry.url.is_empty()));
        let (read, report) = Reader::read(written(&header, &entries).as_bytes());
        assert_eq!(read, entries);
        assert_eq!((report.header, report.malformed.count), (header, 0));
    }

    #[test]
    fn the_line_is_what_strict_players_expect() {
        let mut entry = Entry {
            name: "A, \"B\"\nC".to_owned(),
            url: "http://h/a b|c".to_owned(),
            ..Entry::default()
        };
        entry.attributes.tvg_name = Some("x \"y\"\r\nz".to_owned());
        assert_eq!(
            written(&Header::default(), &[entry]),
            "#EXTM3U\n#EXTINF:-1 tvg-id=\"\" tvg-name=\"x 'y'z\" tvg-logo=\"\" group-title=\"\",A, \"B\"C\n\
             http://h/a%20b%7Cc\n"
        );
    }

    #[test]
    fn no_value_can_begin_a_line_or_an_attribute_of_its_own() {
        let evil = "x\" tvg-id=\"evil\",\n#EXTINF:-1,evil\r\nhttp://evil/\n";
        let mut entry = rich();
        let attributes = &mut entry.attributes;
        for slot in [
            &mut attributes.tvg_id,
            &mut attributes.tvg_logo,
            &mut attributes.group_title,
        ] {
            *slot = Some(evil.to_owned());
        }
        attributes.others.push((evil.to_owned(), evil.to_owned()));
        entry.name = evil.to_owned();
        entry.properties = vec![(evil.to_owned(), evil.to_owned())];
        entry.headers.user_agent = Some(evil.to_owned());
        let (read, report) = Reader::read(written(&Header::default(), &[entry]).as_bytes());
        assert_eq!((read.len(), report.malformed.count), (1, 0));
        assert_eq!(read[0].url, "http://h/live/u/p/1.ts");
        assert_eq!(
            read[0].attributes.tvg_id.as_deref(),
            Some("x' tvg-id='evil',#EXTINF:-1,evilhttp://evil/")
        );
    }
}
