//! Two providers and a mainstem in front of them: many channels at once, each with a login and lists of its own, so that
//! what happens to one says nothing about another. Between the two, a channel may have a third source, whose only part
//! is to be dead.

use provider_double::{Account, AccountHandle, Channel, Clip, Fault, Plan, Provider, StreamHandle};

use super::process::QUICK;
use super::{Launch, Mainstem, eventually, get_json};

/// The clip of a channel's first source unless it says otherwise: purple, a keyframe every 2 s, the PCR on a PID of its
/// own.
pub(crate) const FIRST: Clip = Clip::PcrOwnPid;
/// The clip of a channel's second source unless it says otherwise: dark red, a keyframe every second.
pub(crate) const SECOND: Clip = Clip::H264Closed;

/// One channel of a scene. `name` is its name in the lists, and with the provider's own ending that of its logins: a
/// login of one name at two ports of a host counts as one.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) id: usize,
    pub(crate) first: Channel,
    pub(crate) second: Channel,
    pub(crate) between: Option<Between>,
}

/// A source between the first and the second.
#[derive(Clone)]
pub(crate) enum Between {
    /// A provider's stream with these faults.
    Faulty(Vec<Fault>),
    /// An address at which no provider is. `{login}` in it stands for a login of the channel's own.
    Nowhere(String),
}

impl Case {
    /// A channel of two sources; its number comes with the scene.
    pub(crate) fn new(name: &str, first: Clip, second: Clip) -> Self {
        Self {
            name: name.to_owned(),
            id: 0,
            first: Channel::new(0, name, first),
            second: Channel::new(0, name, second),
            between: None,
        }
    }

    /// Puts a dead source between the two.
    pub(crate) fn between(mut self, between: Between) -> Self {
        self.between = Some(between);
        self
    }

    fn numbered(mut self, id: usize) -> Self {
        self.id = id;
        self.first.id = id.to_string();
        self.second.id = id.to_string();
        self
    }
}

/// Everything that runs.
pub(crate) struct Scene {
    pub(crate) first: Provider,
    pub(crate) second: Provider,
    pub(crate) mainstem: Mainstem,
    between: Provider,
    cases: Vec<Case>,
}

impl Scene {
    /// One channel per name, at both providers.
    pub(crate) async fn start(names: &[&str]) -> Self {
        Self::prepare(names, |_| {}).await
    }

    /// The same, with something done to the scene before mainstem starts.
    pub(crate) async fn prepare(names: &[&str], before: impl FnOnce(&Providers)) -> Self {
        let cases = names.iter().map(|name| Case::new(name, FIRST, SECOND)).collect();
        Self::of(cases, &[], before).await
    }

    /// Channels that differ. `timing`: lines of `QUICK`, and what stands in their place.
    pub(crate) async fn of(
        cases: Vec<Case>,
        timing: &[(&str, &str)],
        before: impl FnOnce(&Providers),
    ) -> Self {
        let numbers = 1..=cases.len();
        let cases: Vec<Case> = numbers.zip(cases).map(|(id, case)| case.numbered(id)).collect();
        let between = provider(&cases, BETWEEN, |case| &case.first);
        for case in &cases {
            if let Some(Between::Faulty(faults)) = &case.between {
                let stream = between.stream(case.id);
                faults.iter().for_each(|fault| stream.fault(fault.clone()));
            }
        }
        let providers = Providers {
            first: provider(&cases, "first", |case| &case.first),
            second: provider(&cases, "second", |case| &case.second),
        };
        before(&providers);
        let Providers { first, second } = providers;
        let mut sources = vec!["first", BETWEEN, "second"];
        if cases.iter().all(|case| case.between.is_none()) {
            sources.remove(1);
        }
        let sources: String = sources
            .iter()
            .map(|name| format!("  - {{name: {name}, type: m3u, url: {name}.m3u}}\n"))
            .collect();
        let timing = timing.iter().fold(QUICK.to_owned(), |text, (line, other)| {
            assert!(text.contains(line), "{line} is no line of QUICK");
            text.replace(line, other)
        });
        let config = format!("{timing}log_level: DEBUG\nsources:\n{sources}");
        let address =
            |provider: &Provider, of: &str, case: &Case| Some(provider.live_url(&login(case, of), case.id));
        let mainstem = Launch::new(&config)
            .file("first.m3u", &list(&cases, |case| address(&first, "first", case)))
            .file(
                "between.m3u",
                &list(&cases, |case| match case.between.as_ref()? {
                    Between::Faulty(_) => address(&between, BETWEEN, case),
                    Between::Nowhere(url) => Some(url.replace("{login}", &login(case, BETWEEN))),
                }),
            )
            .file(
                "second.m3u",
                &list(&cases, |case| address(&second, "second", case)),
            )
            .ready()
            .await;
        // The lists come in any order.
        let url = mainstem.url("/streams");
        let entries = |case: &Case| 2 + u64::from(case.between.is_some());
        eventually("every channel has all its sources", || async {
            let list = get_json(&url).await;
            let channels = list["streams"].as_array()?;
            let has_all = |case: &&Case| {
                let mut found = channels.iter().filter(|channel| channel["name"] == case.name);
                found
                    .next()
                    .is_some_and(|channel| channel["sources"] == entries(case))
            };
            (cases.iter().filter(has_all).count() == cases.len()).then_some(())
        })
        .await;
        Self {
            first,
            second,
            mainstem,
            between,
            cases,
        }
    }

    /// The channels.
    pub(crate) fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The channel of that name.
    pub(crate) fn case(&self, name: &str) -> Case {
        self.cases.iter().find(|case| case.name == name).unwrap().clone()
    }

    /// A channel's login at the first and at the second provider.
    pub(crate) fn logins(&self, case: &Case) -> (AccountHandle, AccountHandle) {
        (
            self.first.account(&login(case, "first")),
            self.second.account(&login(case, "second")),
        )
    }

    /// A channel's login at the provider between the two.
    pub(crate) fn login_between(&self, case: &Case) -> AccountHandle {
        self.between.account(&login(case, BETWEEN))
    }

    /// A channel's stream at the first and at the second provider.
    pub(crate) fn streams(&self, case: &Case) -> (StreamHandle, StreamHandle) {
        (self.first.stream(case.id), self.second.stream(case.id))
    }
}

/// The providers, before mainstem knows of them.
pub(crate) struct Providers {
    pub(crate) first: Provider,
    pub(crate) second: Provider,
}

const BETWEEN: &str = "between";

fn provider(cases: &[Case], of: &str, channel: impl Fn(&Case) -> &Channel) -> Provider {
    let plan = cases.iter().fold(Plan::new(), |plan, case| {
        plan.account(Account::new(&login(case, of), "secret").max_connections(5))
            .channel(channel(case).clone())
    });
    Provider::start(plan).unwrap()
}

fn login(case: &Case, of: &str) -> String {
    format!("{}-{of}", case.name)
}

fn list(cases: &[Case], address: impl Fn(&Case) -> Option<String>) -> String {
    let entry = |case: &Case| {
        let url = address(case)?;
        Some(format!("#EXTINF:-1 group-title=\"Test\",{}\n{url}\n", case.name))
    };
    let entries: String = cases.iter().filter_map(entry).collect();
    format!("#EXTM3U\n{entries}")
}
