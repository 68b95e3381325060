//! Where a provider keeps what was on: the addresses of a stretch of the past, in the dialects that lists have.
//!
//! Pure: the times, the zone and the clock are arguments. Asking is done elsewhere.

use catalog::listing::Catchup;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use url::Url;

/// Seconds in a minute, in which Xtream counts durations.
const MINUTE: i64 = 60;

/// A stretch of the past, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// When it begins.
    pub start: i64,
    /// When it ends.
    pub end: i64,
    /// The present.
    pub now: i64,
}

impl Past {
    fn seconds(self) -> i64 {
        self.end - self.start
    }

    /// Earlier by what a list says that its provider's times are off.
    fn corrected(self, hours: f64) -> Self {
        // Whole seconds of at most a day: far from what a float cannot hold.
        #[expect(clippy::cast_possible_truncation, reason = "bounded one line above")]
        let seconds = (hours.clamp(-24.0, 24.0) * 3_600.0).round() as i64;
        Self {
            start: self.start - seconds,
            end: self.end - seconds,
            ..self
        }
    }
}

/// The dialects that can be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// An address with gaps takes the place of the stream's own.
    Template,
    /// What has gaps is written behind the stream's own.
    Append,
    /// Times are written behind the stream's own as `utc` and `lutc`.
    Shift,
    /// Flussonic's own names beside the stream's.
    Flussonic,
    /// Xtream's `timeshift`.
    Xtream,
}

impl Dialect {
    fn of(catchup: &Catchup, url: &str) -> Option<Self> {
        let mode = catchup.mode.as_deref().unwrap_or_default().trim();
        let source = catchup.source.as_ref();
        let has_gap = source.is_some_and(|source| has_gap(source.expose()));
        match mode.to_ascii_lowercase().as_str() {
            "append" if has_gap => Some(Self::Append),
            "shift" | "timeshift" => Some(Self::Shift),
            "flussonic" | "flussonic-hls" | "flussonic-ts" | "fs" => Some(Self::Flussonic),
            "xc" => xtream::url::Timeshift::of(url).is_some().then_some(Self::Xtream),
            // Those of `vod` are asked for by a name that only a guide has.
            "disabled" | "vod" => None,
            _ if has_gap => Some(Self::Template),
            _ => None,
        }
    }
}

/// Whether what was on at a stream can be played by what its list says.
#[must_use]
pub fn is_playable(catchup: &Catchup, url: &str) -> bool {
    Dialect::of(catchup, url).is_some()
}

/// Where a stretch of the past may be; the first that has it is right. Panels differ in how they write times, so that there
/// may be several; empty where the dialect is none of ours. `zone` is that of the provider's clock.
#[must_use]
pub fn addresses(catchup: &Catchup, url: &str, past: Past, zone: &TimeZone) -> Vec<String> {
    let Some(dialect) = Dialect::of(catchup, url) else {
        return Vec::new();
    };
    let correction = catchup
        .correction
        .as_deref()
        .and_then(|hours| hours.trim().parse().ok());
    let past = past.corrected(correction.unwrap_or_default());
    let template = catchup.source.as_ref().map_or("", |source| source.expose());
    let filled = |template: &str| fill(template, past, zone);
    match dialect {
        Dialect::Template => at(url, &filled(template)).into_iter().collect(),
        Dialect::Append => vec![format!("{url}{}", filled(template))],
        Dialect::Shift => {
            let template = if template.is_empty() { SHIFT } else { template };
            vec![format!("{url}{}", filled(&as_query_of(url, template)))]
        }
        Dialect::Flussonic => flussonic(url, past),
        Dialect::Xtream => xtream_shapes(url, past, zone),
    }
}

const SHIFT: &str = "?utc={utc}&lutc={lutc}";

/// What begins a query goes on one where there is one.
fn as_query_of(url: &str, template: &str) -> String {
    let rest = template.trim_start_matches(['?', '&']);
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{mark}{rest}")
}

/// Where a template leads: it may be whole, or say what is different from the stream's address.
fn at(url: &str, filled: &str) -> Option<String> {
    if filled.starts_with(['?', '&']) {
        return Some(format!("{url}{}", as_query_of(url, filled)));
    }
    if Url::parse(filled).is_ok() {
        return Some(filled.to_owned());
    }
    Url::parse(url).ok()?.join(filled).ok().map(String::from)
}

/// `http://host/channel/index.m3u8?token=…` keeps a stretch as `http://host/channel/archive-START-SECONDS.ts?token=…`, as
/// the playlist `index-START-SECONDS.m3u8`, or from its beginning on as `timeshift_abs-START.ts` (Flussonic's documentation of
/// its archive).
fn flussonic(url: &str, past: Past) -> Vec<String> {
    let (path, query) = match url.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (url, String::new()),
    };
    let Some((channel, _)) = path.rsplit_once('/') else {
        return Vec::new();
    };
    let (start, seconds) = (past.start, past.seconds());
    vec![
        format!("{channel}/archive-{start}-{seconds}.ts{query}"),
        format!("{channel}/index-{start}-{seconds}.m3u8{query}"),
        format!("{channel}/timeshift_abs-{start}.ts{query}"),
    ]
}

/// Panels read the beginning in one of these forms, in their own zone, and the duration in minutes.
fn xtream_shapes(url: &str, past: Past, zone: &TimeZone) -> Vec<String> {
    let Some(stream) = xtream::url::Timeshift::of(url) else {
        return Vec::new();
    };
    // The beginning is told in whole minutes, so that the end has to be a minute's too.
    let begin = past.start.div_euclid(MINUTE);
    let end = past.end.saturating_add(MINUTE - 1).div_euclid(MINUTE);
    let minutes = u64::try_from(end - begin).unwrap_or(1).max(1);
    let starts = ["%Y-%m-%d:%H-%M", "%Y-%m-%d:%H-%M-%S", "%Y-%m-%d_%H-%M"];
    let starts = starts.map(|form| written(past.start, form, zone));
    let [usual, with_seconds, underscored] = &starts;
    vec![
        stream.path(usual, minutes),
        stream.script(usual, minutes),
        stream.path(with_seconds, minutes),
        stream.path(underscored, minutes),
        stream.path(&past.start.to_string(), minutes),
    ]
}

/// Whether a template says where a time goes.
fn has_gap(template: &str) -> bool {
    let any = Past {
        start: 0,
        end: MINUTE,
        now: MINUTE,
    };
    fill(template, any, &TimeZone::UTC) != template
}

/// A moment as `form` wants it (strftime); nothing of a moment no calendar has.
fn written(seconds: i64, form: &str, zone: &TimeZone) -> String {
    let Ok(moment) = Timestamp::from_second(seconds) else {
        return String::new();
    };
    jiff::fmt::strtime::format(form, &moment.to_zoned(zone.clone())).unwrap_or_default()
}

/// Fills the gaps of a template: `{utc}`, `${start}` and their like, each with a form of its own as in `{utc:YmdHMS}`, durations
/// and offsets in parts of seconds as in `{duration:60}`. What is no gap stays.
fn fill(template: &str, past: Past, zone: &TimeZone) -> String {
    let mut filled = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let (before, from_open) = rest.split_at(open);
        let Some(close) = from_open.find('}') else { break };
        let (gap, after) = from_open.split_at(close + 1);
        let inside = gap.trim_start_matches('{').trim_end_matches('}');
        match value(inside, past, zone) {
            Some(value) => {
                filled.push_str(before.strip_suffix('$').unwrap_or(before));
                filled.push_str(&value);
            }
            None => {
                filled.push_str(before);
                filled.push_str(gap);
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

fn value(gap: &str, past: Past, zone: &TimeZone) -> Option<String> {
    let (name, form) = match gap.split_once(':') {
        Some((name, form)) => (name, Some(form)),
        None => (gap, None),
    };
    let moment = match name {
        "utc" | "start" => Some(past.start),
        "utcend" | "end" => Some(past.end),
        "lutc" | "now" | "timestamp" => Some(past.now),
        _ => None,
    };
    if let Some(moment) = moment {
        return Some(match form {
            Some(letters) => written(moment, &letters_as_form(letters), zone),
            None => moment.to_string(),
        });
    }
    let seconds = match name {
        "duration" => Some(past.seconds()),
        "offset" => Some(past.now - past.start),
        _ => None,
    };
    if let Some(seconds) = seconds {
        let part: i64 = form.map_or(Ok(1), str::parse).ok()?;
        return (part > 0).then(|| (seconds / part).to_string());
    }
    let is_letter = form.is_none() && matches!(name, "Y" | "m" | "d" | "H" | "M" | "S");
    is_letter.then(|| written(past.start, &letters_as_form(name), zone))
}

/// `Y-m-d` as `%Y-%m-%d`.
fn letters_as_form(letters: &str) -> String {
    let mut form = String::with_capacity(letters.len() * 2);
    for letter in letters.chars() {
        match letter {
            'Y' | 'm' | 'd' | 'H' | 'M' | 'S' => form.push('%'),
            '%' => form.push('%'),
            _ => {}
        }
        form.push(letter);
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::secret::Secret;

    /// 2026-03-28 22:30:00 UTC, the night in which Europe changes its clocks an hour and a half later.
    const START: i64 = 1_774_737_000;
    const PAST: Past = Past {
        start: START,
        end: START + 5_400,
        now: START + 86_400,
    };

    fn catchup(mode: &str, source: &str) -> Catchup {
        Catchup {
            mode: (!mode.is_empty()).then(|| mode.into()),
            source: (!source.is_empty()).then(|| Secret::new(source)),
            ..Catchup::default()
        }
    }

    fn in_zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn check(mode: &str, source: &str, url: &str, expected: &[&str]) {
        let found = addresses(&catchup(mode, source), url, PAST, &in_zone("Europe/Berlin"));
        assert_eq!(found, expected, "{mode} {source}");
        assert_eq!(is_playable(&catchup(mode, source), url), !expected.is_empty());
    }

    #[test]
    fn every_dialect_leads_to_its_own_address() {
        let live = "http://h.example/news/index.m3u8";
        check(
            "default",
            "http://h.example/c/1?from=${start}&to={utcend}&len={duration}&min={duration:60}&ago={offset}",
            live,
            &["http://h.example/c/1?from=1774737000&to=1774742400&len=5400&min=90&ago=86400"],
        );
        check(
            "",
            "/archive/{Y}/{m}/{d}/{H}-{M}-{S}.ts",
            live,
            &["http://h.example/archive/2026/03/28/23-30-00.ts"],
        );
        check(
            "default",
            "?at={utc:YmdHMS}&x={unknown}&y={open",
            live,
            &["http://h.example/news/index.m3u8?at=20260328233000&x={unknown}&y={open"],
        );
        check(
            "append",
            "&utc={utc}&now=${timestamp}",
            "http://h.example/1.ts?a=b",
            &["http://h.example/1.ts?a=b&utc=1774737000&now=1774823400"],
        );
        check(
            "shift",
            "",
            "http://h.example/1.ts",
            &["http://h.example/1.ts?utc=1774737000&lutc=1774823400"],
        );
        check(
            "shift",
            "",
            "http://h.example/1.ts?t=1",
            &["http://h.example/1.ts?t=1&utc=1774737000&lutc=1774823400"],
        );
        check(
            "flussonic",
            "",
            "http://h.example/news/index.m3u8?token=x",
            &[
                "http://h.example/news/archive-1774737000-5400.ts?token=x",
                "http://h.example/news/index-1774737000-5400.m3u8?token=x",
                "http://h.example/news/timeshift_abs-1774737000.ts?token=x",
            ],
        );
        check("append", "", live, &[]);
        check("default", "", live, &[]);
        check("default", "http://h.example/1?a={catchup-id}", live, &[]);
        check("vod", "http://h.example/{utc}", live, &[]);
        check("disabled", "http://h.example/{utc}", live, &[]);
        check("xc", "", live, &[]);
    }

    #[test]
    fn a_panel_is_asked_in_its_own_zone_and_in_each_form_that_panels_read() {
        let url = "http://h.example:8080/live/u/p%40/12.ts";
        check(
            "xc",
            "",
            url,
            &[
                "http://h.example:8080/timeshift/u/p%40/90/2026-03-28:23-30/12.ts",
                "http://h.example:8080/streaming/timeshift.php?username=u&password=p%40&stream=12&start=2026-03-28:23-30&duration=90",
                "http://h.example:8080/timeshift/u/p%40/90/2026-03-28:23-30-00/12.ts",
                "http://h.example:8080/timeshift/u/p%40/90/2026-03-28_23-30/12.ts",
                "http://h.example:8080/timeshift/u/p%40/90/1774737000/12.ts",
            ],
        );
        // Behind the change of the clocks.
        let later = Past {
            start: START + 3 * 3_600,
            end: START + 3 * 3_600 + 121,
            ..PAST
        };
        let found = addresses(&catchup("xc", ""), url, later, &in_zone("Europe/Berlin"));
        assert_eq!(
            found[0],
            "http://h.example:8080/timeshift/u/p%40/3/2026-03-29:03-30/12.ts"
        );
        // 22:30:45 to 22:59:50 is in the half hour from 22:30 on.
        let within = Past {
            start: START + 45,
            end: START + 1_790,
            ..PAST
        };
        let found = addresses(&catchup("xc", ""), url, within, &TimeZone::UTC);
        assert!(found[0].contains("/30/2026-03-28:22-30/"), "{found:?}");
        let utc = addresses(&catchup("xc", ""), url, later, &TimeZone::UTC);
        assert!(utc[0].contains("2026-03-29:01-30"), "{utc:?}");
    }

    #[test]
    fn a_correction_makes_times_earlier_and_nonsense_none() {
        for (correction, start) in [
            ("1.5", START - 5_400),
            ("-2", START + 7_200),
            ("x", START),
            ("1e99", START - 86_400),
        ] {
            let catchup = Catchup {
                correction: Some(correction.into()),
                ..catchup("shift", "?utc={utc}")
            };
            let found = addresses(&catchup, "http://h.example/1.ts", PAST, &TimeZone::UTC);
            assert_eq!(
                found,
                [format!("http://h.example/1.ts?utc={start}")],
                "{correction}"
            );
        }
    }

    #[test]
    fn no_time_and_no_template_is_too_much() {
        for start in [i64::MIN / 4, -1, i64::MAX / 4] {
            let past = Past {
                start,
                end: start,
                now: 0,
            };
            for template in [
                "{utc:Y%q}",
                "{{utc}}",
                "${",
                "}{",
                "{duration:0}",
                "{duration:-1}",
                "{:}",
                "é{Y}é",
            ] {
                let found = addresses(
                    &catchup("default", template),
                    "http://h.example/1",
                    past,
                    &TimeZone::UTC,
                );
                assert!(found.len() <= 1, "{template}");
            }
            let found = addresses(
                &catchup("xc", ""),
                "http://h.example/live/u/p/1.ts",
                past,
                &TimeZone::UTC,
            );
            assert_eq!(found.len(), 5, "{start}");
        }
    }

    #[test]
    fn templates_of_any_bytes_are_filled_or_left() {
        let seeds = [
            "http://h/{utc:YmdHMS}/${start}?{duration:60}&{Y}-{m}",
            "?a={utcend}&b={offset:1}{{}}",
            "é{ü}$",
        ];
        let alphabet: Vec<char> = "{}$:%?&/utcYmdHMS09-é\u{0}".chars().collect();
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        for round in 0..20_000 {
            let mut template: Vec<char> = seeds[round % seeds.len()].chars().collect();
            for _ in 0..=random(6) {
                let at = random(template.len());
                template[at] = alphabet[random(alphabet.len())];
            }
            let template: String = template.into_iter().collect();
            let filled = fill(&template, PAST, &TimeZone::UTC);
            // A gap of three letters is filled with ten digits at most, one with a form of n with four for each.
            assert!(filled.len() <= 4 * template.len() + 20, "{template}");
            let gaps = template.matches('{').count();
            assert!(gaps > 0 || filled == template, "{template}");
        }
    }
}
