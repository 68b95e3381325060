//! The quirks of lists, one row each: what its source's provider has, and what is to be seen of it.

/// What a source's provider has.
#[derive(Clone)]
pub(crate) enum Served {
    /// A list, byte for byte.
    M3u(Vec<u8>),
    /// Answers of an account by their action; `""` is the account's own. Every other list is empty.
    Panel(Vec<(&'static str, Reply)>),
}

#[derive(Clone)]
pub(crate) enum Reply {
    Body(&'static str),
    /// Status line and further headers.
    Status(&'static str),
    /// The body breaks off before the length it announced.
    Cut(&'static str),
}

pub(crate) use Reply::{Body, Cut, Status};

/// What is to be seen of a source.
pub(crate) enum Seen {
    /// `kind | group | name` of its channels, in order.
    Channels(&'static [&'static str]),
    /// A channel's line in the playlist holds this.
    Line(&'static str, &'static str),
    /// A channel's address at its provider ends like this.
    Address(&'static str, &'static str),
    /// A part of a channel in `/streams`.
    Stream(&'static str, &'static str, &'static str),
    /// A part of the source in `/status`.
    Source(&'static str, &'static str),
    /// Episodes of a series, by season and number.
    Episodes(&'static str, &'static [(u64, u64)]),
    /// A film plays, and these are its last bytes.
    Plays(&'static str, &'static str),
    /// Requests so far whose path and query hold this.
    Asked(&'static str, usize),
    /// The last request for a path that holds this has this header line.
    Header(&'static str, &'static str),
}

pub(crate) use Seen::{Address, Asked, Channels, Episodes, Header, Line, Plays, Source, Stream};

pub(crate) struct Quirk {
    pub(crate) id: &'static str,
    /// Further keys of the source.
    pub(crate) keys: &'static str,
    pub(crate) first: Served,
    pub(crate) seen: Vec<Seen>,
    /// What comes at the refresh, and what is to be seen then.
    pub(crate) then: Option<(Served, Vec<Seen>)>,
}

fn quirk(id: &'static str, first: Served, seen: Vec<Seen>) -> Quirk {
    Quirk {
        id,
        keys: "",
        first,
        seen,
        then: None,
    }
}

impl Quirk {
    pub(crate) fn keys(self, keys: &'static str) -> Self {
        Self { keys, ..self }
    }

    pub(crate) fn then(self, served: Served, seen: Vec<Seen>) -> Self {
        Self {
            then: Some((served, seen)),
            ..self
        }
    }

    pub(crate) fn user(&self) -> String {
        self.id.to_lowercase()
    }
}

fn m3u(text: &str) -> Served {
    Served::M3u(text.as_bytes().to_vec())
}

fn entries(text: &str) -> Served {
    m3u(&format!("#EXTM3U\n{text}"))
}

fn panel(replies: &[(&'static str, Reply)]) -> Served {
    Served::Panel(replies.to_vec())
}

/// An account with these live streams in the category 5, which is called News.
fn live(streams: &'static str) -> Served {
    panel(&[("get_live_streams", Body(streams))])
}

fn login(account: &'static str, streams: &'static str) -> Served {
    panel(&[("", Body(account)), ("get_live_streams", Body(streams))])
}

fn films(streams: &'static str) -> Served {
    panel(&[("get_vod_streams", Body(streams))])
}

fn series(info: &'static str, name: &'static str) -> Served {
    panel(&[
        ("get_series", Body(name)),
        ("get_series_info&series_id=5", Body(info)),
    ])
}

/// Bytes that begin like a film.
pub(crate) const FILM: &str = "\0\0\0\u{18}ftypisom\0\0\0\0isomiso2 a film";

/// All of them.
pub(crate) fn rows() -> Vec<Quirk> {
    let all = [of_records(), of_addresses(), of_times(), of_lines(), of_entries()];
    all.into_iter().flatten().collect()
}

/// What accounts say of themselves, series, and what records lack.
fn of_records() -> Vec<Quirk> {
    vec![
        quirk(
            "X1",
            login(r#"{"user_info":{"auth":1,"active_cons":"N/A"}}"#, r#"[{"stream_id":1,"name":"X1 A"}]"#),
            vec![Channels(&["live||X1 A"]), Source("/account/active_connections", "null")],
        ),
        quirk(
            "X2",
            live(
                r#"[{"num":"1","stream_id":1,"name":"X2 A","category_id":5},{"num":2,"stream_id":"2","name":"X2 B","category_id":"5","tv_archive":"1","tv_archive_duration":"3"},{"num":2.0,"stream_id":3.0,"name":7,"category_ids":["5"]}]"#,
            ),
            vec![
                Channels(&["live|News|X2 A", "live|News|X2 B", "live|News|7"]),
                Address("X2 B", "/live/x2/p/2.ts"),
                Address("7", "/live/x2/p/3.ts"),
                Stream("X2 B", "/catchup/days", "3"),
            ],
        ),
        quirk(
            "X3",
            login(
                r#"{"user_info":{"auth":"1","exp_date":null,"is_trial":"0","max_connections":"6"}}"#,
                r#"[{"stream_id":1,"name":"X3 A"}]"#,
            ),
            vec![
                Channels(&["live||X3 A"]),
                Source("/account/expires", "null"),
                Source("/account/ended", "null"),
                Source("/connections/max", "6"),
            ],
        ),
        quirk(
            "X4",
            series(r#"{"info":[],"episodes":{"1":[{"id":1,"episode_num":1}]}}"#, r#"[{"series_id":5,"name":"X4 S"}]"#),
            vec![Episodes("5", &[(1, 1)]), Channels(&["episode||X4 S S01E01"])],
        )
        .keys(", series: on_demand"),
        quirk(
            "X5",
            series("[]", r#"[{"series_id":5,"name":"X5 S"}]"#),
            vec![Episodes("5", &[]), Channels(&[])],
        )
        .keys(", series: on_demand"),
        quirk(
            "X6",
            series(
                r#"{"info":{},"episodes":[[{"id":1,"season":2,"episode_num":"4","info":[]}],[{"id":"2","season":"3","episode_num":5,"info":{"video":[]}}]]}"#,
                r#"[{"series_id":5,"name":"X6 S"}]"#,
            ),
            vec![
                Episodes("5", &[(2, 4), (3, 5)]),
                Channels(&["episode||X6 S S02E04", "episode||X6 S S03E05"]),
            ],
        )
        .keys(", series: on_demand"),
        quirk(
            "X7",
            login(
                r#"{"user_info":{"auth":1},"server_info":{"xui":true,"version":"1.5","revision":null,"process":true,"url":"elsewhere.example","port":99999,"https_port":"","server_protocol":"https"}}"#,
                r#"[{"stream_id":1,"name":"X7 A"}]"#,
            ),
            // The address that was typed in counts.
            vec![Address("X7 A", "{base}/live/x7/p/1.ts")],
        ),
        quirk(
            "X8",
            live(
                r#"[{"stream_id":1,"name":"X8 A","category_id":null},{"stream_id":2,"name":"X8 B","category_id":""},{"stream_id":3,"name":"X8 C"},{"stream_id":4,"name":"X8 D","category_id":"99"},{"stream_id":5,"name":"X8 E","category_id":"99","category_ids":[98,5]}]"#,
            ),
            vec![Channels(&["live||X8 A", "live||X8 B", "live||X8 C", "live||X8 D", "live|News|X8 E"])],
        ),
    ]
}

/// Where streams are, and what they are called from one list to the next.
fn of_addresses() -> Vec<Quirk> {
    vec![
        // What is asked for in vain, and other endings: control_sources.
        quirk(
            "X9",
            login(
                r#"{"user_info":{"auth":1,"allowed_output_formats":["ts"]}}"#,
                r#"[{"stream_id":1,"name":"X9 A"}]"#,
            ),
            vec![Address("X9 A", "/live/x9/p/1.ts")],
        )
        .then(
            login(
                r#"{"user_info":{"auth":1,"allowed_output_formats":["m3u8"]}}"#,
                r#"[{"stream_id":1,"name":"X9 A"}]"#,
            ),
            vec![Address("X9 A", "/live/x9/p/1.m3u8")],
        ),
        quirk(
            "X10",
            films(r#"[{"stream_id":1,"name":"X10 F","container_extension":"m3u8"}]"#),
            vec![
                Channels(&["film||X10 F"]),
                Address("X10 F", "/movie/x10/p/1.m3u8"),
            ],
        ),
        quirk(
            "X11",
            live(r#"[{"stream_id":1,"name":"X11 A"}]"#),
            vec![Address("X11 A", "/live/x11/p/1")],
        )
        .keys(", live_format: none"),
        // In order, and remembered: play_direct_source.
        quirk(
            "X12",
            films(
                r#"[{"stream_id":1,"name":"X12 A","container_extension":".mkv"},{"stream_id":2,"name":"X12 B","direct_source":"{base}/cdn/2.mkv"},{"stream_id":3,"name":"X12 C","direct_source":""}]"#,
            ),
            vec![
                Address("X12 A", "/movie/x12/p/1.mkv"),
                Address("X12 B", "/movie/x12/p/2.mp4"),
                Plays("X12 B", "a film"),
            ],
        ),
        quirk(
            "X13",
            live(r#"[{"stream_id":1,"name":"X13 A"},{"stream_id":2,"name":"X13 B"}]"#),
            vec![Channels(&["live||X13 A", "live||X13 B"])],
        )
        .keys(", vod: false")
        .then(
            panel(&[("get_live_streams", Cut(r#"[{"stream_id":1,"name":"X13 A"},"#))]),
            vec![
                Channels(&["live||X13 A", "live||X13 B"]),
                Source("/last_error/code", "\"not_a_list\""),
                Source("/stale", "true"),
            ],
        ),
        quirk(
            "X14",
            live(r#"[{"stream_id":1,"name":"X14 A"}]"#),
            vec![Channels(&["live||X14 A"])],
        )
        .keys(", vod: false")
        .then(
            panel(&[("get_live_streams", Status("520 Unknown"))]),
            vec![
                Channels(&["live||X14 A"]),
                Source("/last_error/code", "\"status\""),
            ],
        ),
        // Links are those of the names: every row's stay over the refresh.
        quirk(
            "X15",
            live(r#"[{"stream_id":1,"name":"X15 A"},{"stream_id":2,"name":"X15 B"}]"#),
            vec![
                Address("X15 A", "/live/x15/p/1.ts"),
                Address("X15 B", "/live/x15/p/2.ts"),
            ],
        )
        .then(
            live(r#"[{"stream_id":2,"name":"X15 A"},{"stream_id":1,"name":"X15 B"}]"#),
            vec![
                Address("X15 A", "/live/x15/p/2.ts"),
                Address("X15 B", "/live/x15/p/1.ts"),
            ],
        ),
        quirk(
            "X16",
            login(
                r#"{"user_info":{"auth":1,"max_connections":"1"}}"#,
                r#"[{"stream_id":1,"name":"X16 A"}]"#,
            ),
            vec![
                Source("/connections/max", "4"),
                Source("/limit_from", "\"config\""),
                Source("/account/max_connections", "1"),
            ],
        )
        .keys(", max_connections: 4"),
    ]
}

/// When an account is asked, and what it says of the past and of its end.
fn of_times() -> Vec<Quirk> {
    vec![
        // One call at a time, about one a second, and one for all who ask the same: control_sources, control_calls.
        quirk(
            "X17",
            live(r#"[{"stream_id":1,"name":"X17 A"}]"#),
            vec![
                Channels(&["live||X17 A"]),
                Asked(
                    "/X17/player_api.php?username=x17&password=p&action=get_live_streams",
                    1,
                ),
            ],
        )
        .then(
            panel(&[("", Status("429 Too Many Requests\r\nRetry-After: 3600"))]),
            vec![
                Channels(&["live||X17 A"]),
                Source("/last_error/code", "\"status\""),
                Asked(
                    "/X17/player_api.php?username=x17&password=p&action=get_live_streams",
                    1,
                ),
            ],
        ),
        // What there is, and whose clock it goes by. No player can ask for it yet.
        quirk(
            "X18",
            login(
                r#"{"user_info":{"auth":1},"server_info":{"timezone":"Europe/London","timestamp_now":1700000000}}"#,
                r#"[{"stream_id":1,"name":"X18 A","tv_archive":1,"tv_archive_duration":"7"},{"stream_id":2,"name":"X18 B","tv_archive":"0","tv_archive_duration":7}]"#,
            ),
            vec![
                Stream("X18 A", "/catchup", r#"{"days":7,"mode":"xc"}"#),
                Stream("X18 B", "/catchup", "null"),
                Source("/account/timezone", "\"Europe/London\""),
            ],
        ),
        quirk(
            "X19",
            live(r#"[{"stream_id":1,"name":"X19 A"}]"#),
            vec![Channels(&["live||X19 A"])],
        )
        .then(
            panel(&[
                ("", Body(r#"{"user_info":{"auth":0,"status":"Expired"}}"#)),
                ("get_live_streams", Body("[]")),
            ]),
            vec![
                Channels(&["live||X19 A"]),
                Source("/last_error/code", "\"account\""),
                Source("/account/ended", "\"the account is expired\""),
            ],
        ),
    ]
}

/// How lines and attributes are written.
fn of_lines() -> Vec<Quirk> {
    vec![
        quirk(
            "M1",
            entries("#EXTINF:-1 group-title=\"News, UK\",M1 One, HD\nhttp://127.0.0.1:9/1\n"),
            vec![Channels(&["live|News, UK|M1 One, HD"])],
        ),
        quirk(
            "M2",
            entries("#EXTINF:-1 tvg-name=\"M2 \"Best\" Of\" group-title=\"G\",T\nhttp://127.0.0.1:9/1\n"),
            vec![Channels(&["live|G|M2 \"Best\" Of"])],
        ),
        quirk(
            "M3",
            entries("#EXTINF:-1 tvg-id=\"a\" group-title=\"News,M3 A\nhttp://127.0.0.1:9/1\n"),
            vec![Channels(&["live|News|M3 A"]), Line("M3 A", "tvg-id=\"a\"")],
        ),
        quirk(
            "M4",
            m3u(
                "\u{feff}#EXTM3U\r\n#EXTINF:-1,M4 A\r\nhttp://127.0.0.1:9/1\r\n#EXTINF:-1,M4\0 B\rhttp://127.0.0.1:9/2\r",
            ),
            vec![Channels(&["live||M4 A", "live||M4 B"])],
        ),
        quirk(
            "M5",
            entries("#EXTINF:-1 tvg-id=a group-title='News',M5 A\nhttp://127.0.0.1:9/1\n"),
            vec![Channels(&["live|News|M5 A"]), Line("M5 A", "tvg-id=\"a\"")],
        ),
        quirk(
            "M6",
            entries(
                "#EXTINF:-1,M6 A\n#EXTGRP:News\nhttp://127.0.0.1:9/1\n#EXTGRP:Sport\n#EXTINF:-1,M6 B\nhttp://127.0.0.1:9/2\n#EXTINF:-1,M6 C\nhttp://127.0.0.1:9/3\n",
            ),
            vec![Channels(&["live|News|M6 A", "live|Sport|M6 B", "live||M6 C"])],
        ),
        quirk(
            "M7",
            entries(
                "#EXTINF:-1 tvg-id=\"\",M7 A\nhttp://127.0.0.1:9/1\n#EXTINF:-1 tvg-id=\"x\",M7 B\nhttp://127.0.0.1:9/2\n#EXTINF:-1 tvg-id=\"x\",M7 C\nhttp://127.0.0.1:9/3\n#EXTINF:-1,M7 D\nhttp://127.0.0.1:9/4\n",
            ),
            vec![
                Channels(&["live||M7 A", "live||M7 B", "live||M7 C", "live||M7 D"]),
                Line("M7 B", "tvg-id=\"x\""),
                Line("M7 C", "tvg-id=\"x\""),
            ],
        ),
        quirk(
            "M8",
            entries(
                "#EXTINF:-1,M8 A\nhttp://127.0.0.1:9/live/u/p/1.ts\n#EXTINF:-1,M8 F\nhttp://127.0.0.1:9/movie/u/p/2.mkv\n#EXTINF:3600,M8 S01E01\nhttp://127.0.0.1:9/series/u/p/3.mp4\n#EXTINF:-1,M8 G\nhttp://127.0.0.1:9/x/g.MP4?token=a.ts\n",
            ),
            vec![Channels(&[
                "live||M8 A",
                "film||M8 F",
                "episode||M8 S01E01",
                "film||M8 G",
            ])],
        ),
        // Left out where drop_separators says so: control_rules.
        quirk(
            "M9",
            entries(
                "#EXTINF:-1,### M9 UK ###\nhttp://127.0.0.1:9/none\n#EXTINF:-1,✦●✦ M9 DE ✦●✦\n#EXTINF:-1,M9 A\nhttp://127.0.0.1:9/1\n",
            ),
            vec![
                Channels(&["live||### M9 UK ###", "live||M9 A"]),
                Source("/malformed", "1"),
            ],
        ),
    ]
}

/// What entries are called, where they lead, and how many there are.
fn of_entries() -> Vec<Quirk> {
    let long: String = (1..=5_000)
        .map(|number| {
            let logo = "x".repeat(200);
            format!("#EXTINF:-1 tvg-logo=\"http://127.0.0.1:9/{logo}.png\",M16 {number:04}\nhttp://127.0.0.1:9/live/m16/p/{number}.ts\n")
        })
        .collect();
    vec![
        // Joined with plainer names where group_by says so: the tests of catalog.
        quirk(
            "M10",
            entries("#EXTINF:-1,UK│ M10 ᴴᴰ ⁶⁰\u{200b}\nhttp://127.0.0.1:9/1\n"),
            vec![Channels(&["live||UK│ M10 ᴴᴰ ⁶⁰\u{200b}"])],
        ),
        quirk(
            "M11",
            entries("#EXTINF:-1 group-title=\"M11 A\",M11 A\nhttp://127.0.0.1:9/1\n"),
            vec![Channels(&["live|M11 A|M11 A"])],
        ),
        quirk(
            "M12",
            entries(
                "#EXTINF:-1,M12 A\n#EXTVLCOPT:http-user-agent=Entry/1\n#KODIPROP:inputstream=x\n{base}/cdn/a.mp4\n#EXTINF:-1,M12 B\n{base}/cdn/b.mp4|User-Agent=Entry%2F2&Referer=http://r.example/\n",
            ),
            vec![
                Plays("M12 A", "a film"),
                Header("/M12/cdn/a.mp4", "user-agent: entry/1"),
                Plays("M12 B", "a film"),
                Header("/M12/cdn/b.mp4", "user-agent: entry/2"),
                Header("/M12/cdn/b.mp4", "referer: http://r.example/"),
            ],
        ),
        quirk(
            "M13",
            entries(
                "#EXTINF:-1 tvg-chno=\"5.1\",M13 A\nhttp://127.0.0.1:9/1\n#EXTINF:-1 channel-number=7,M13 B\nhttp://127.0.0.1:9/2\n#EXTINF:-1 ch-number='7',M13 C\nhttp://127.0.0.1:9/3\n#EXTINF:-1,M13 D\nhttp://127.0.0.1:9/4\n",
            ),
            vec![
                Channels(&["live||M13 A", "live||M13 B", "live||M13 C", "live||M13 D"]),
                Line("M13 A", "tvg-chno=\"5.1\""),
                Line("M13 B", "tvg-chno=\"7\""),
                Line("M13 C", "tvg-chno=\"7\""),
            ],
        ),
        quirk(
            "M14",
            m3u(concat!(
                "#EXTM3U catchup=\"append\" catchup-days=2\n",
                "#EXTINF:-1 catchup=\"default\" catchup-days=\"7\" catchup-source=\"http://127.0.0.1:9/?u=M14secret\",M14 A\nhttp://127.0.0.1:9/1\n",
                "#EXTINF:-1 catchup-type=\"flussonic\" tvg-rec=\"3\",M14 B\nhttp://127.0.0.1:9/2\n",
                "#EXTINF:-1 timeshift=\"5\",M14 C\nhttp://127.0.0.1:9/3\n",
                "#EXTINF:-1,M14 D\nhttp://127.0.0.1:9/4\n",
                "#EXTINF:-1 tvg-rec=\"0\",M14 E\nhttp://127.0.0.1:9/5\n",
                "#EXTINF:-1,M14 F\nhttp://127.0.0.1:9/movie/u/p/6.mkv\n",
            )),
            vec![
                Stream("M14 A", "/catchup", r#"{"days":7,"mode":"default"}"#),
                Stream("M14 B", "/catchup", r#"{"days":3,"mode":"flussonic"}"#),
                Stream("M14 C", "/catchup", r#"{"days":5,"mode":"append"}"#),
                Stream("M14 D", "/catchup", r#"{"days":2,"mode":"append"}"#),
                Stream("M14 E", "/catchup", "null"),
                Stream("M14 F", "/catchup", "null"),
            ],
        ),
        quirk(
            "M15",
            m3u("curl: (28) Operation timed out after 5000 milliseconds\n#EXTM3U\n#EXTINF:-1,M15 A\ncurl: (6) Could not resolve host\nhttp://127.0.0.1:9/1\n"),
            vec![Channels(&["live||M15 A"])],
        )
        .then(
            m3u("curl: (22) The requested URL returned error: 403\n"),
            vec![Channels(&["live||M15 A"]), Source("/last_error/code", "\"empty\"")],
        ),
        // At its full size: `cargo xtask bench --lists`.
        quirk("M16", entries(&long), vec![Source("/streams", "5000"), Source("/in_channels", "5000")]),
        // The guides themselves come with the guide.
        quirk(
            "M17",
            m3u("#EXTM3U url-tvg=\"http://g/1.xml,http://g/2.xml\" x-tvg-url=\"http://g/2.xml\"\n#EXTINF:-1,M17 A\nhttp://127.0.0.1:9/1\n"),
            vec![Channels(&["live||M17 A"]), Source("/malformed", "0")],
        ),
        quirk(
            "M18",
            entries(
                "#EXTINF:-1,M18 A\nhttp://127.0.0.1:9/1\n#EXTINF:-1,M18 A\nhttp://127.0.0.1:9/2\nhttp://127.0.0.1:9/3\n",
            ),
            vec![Channels(&["live||M18 A"]), Stream("M18 A", "/sources", "3")],
        ),
    ]
}
