//! Two providers and a mainstem in front of them: many channels at once, each with a login and lists of its own, so that
//! what happens to one says nothing about another.

use provider_double::{Account, AccountHandle, Channel, Clip, Plan, Provider, StreamHandle};

use super::process::QUICK;
use super::{Launch, Mainstem};

/// The clip of every channel's first source: purple, a keyframe every 2 s, the PCR on a PID of its own.
pub(crate) const FIRST: Clip = Clip::PcrOwnPid;
/// The clip of every channel's second source: dark red, a keyframe every second.
pub(crate) const SECOND: Clip = Clip::H264Closed;

/// One channel of a scene. `name` is its name in the lists, and with the provider's own ending that of its logins: a
/// login of one name at two ports of a host counts as one.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) id: usize,
}

/// Everything that runs.
pub(crate) struct Scene {
    pub(crate) first: Provider,
    pub(crate) second: Provider,
    pub(crate) mainstem: Mainstem,
    cases: Vec<Case>,
}

impl Scene {
    /// One channel per name, at both providers.
    pub(crate) async fn start(names: &[&str]) -> Self {
        Self::prepare(names, "", |_| {}).await
    }

    /// The same, with further configuration, and with something done to the scene before mainstem starts.
    pub(crate) async fn prepare(names: &[&str], config: &str, before: impl FnOnce(&Providers)) -> Self {
        let cases: Vec<Case> = names
            .iter()
            .enumerate()
            .map(|(number, name)| Case {
                name: (*name).to_owned(),
                id: number + 1,
            })
            .collect();
        let providers = Providers {
            first: provider(&cases, FIRST),
            second: provider(&cases, SECOND),
        };
        before(&providers);
        let Providers { first, second } = providers;
        let config = format!(
            "{QUICK}log_level: DEBUG\nsources:\n  - {{name: first, type: m3u, url: first.m3u}}\n  - {{name: second, type: m3u, url: second.m3u}}\n{config}"
        );
        let mainstem = Launch::new(&config)
            .file("first.m3u", &list(&first, &cases, FIRST))
            .file("second.m3u", &list(&second, &cases, SECOND))
            .ready()
            .await;
        Self {
            first,
            second,
            mainstem,
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
            self.first.account(&login(case, FIRST)),
            self.second.account(&login(case, SECOND)),
        )
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

fn provider(cases: &[Case], clip: Clip) -> Provider {
    let plan = cases.iter().fold(Plan::new(), |plan, case| {
        plan.account(Account::new(&login(case, clip), "secret").max_connections(5))
            .channel(Channel::new(case.id, &case.name, clip))
    });
    Provider::start(plan).unwrap()
}

fn login(case: &Case, clip: Clip) -> String {
    format!("{}-{}", case.name, clip.letter())
}

fn list(provider: &Provider, cases: &[Case], clip: Clip) -> String {
    let entry = |case: &Case| {
        let url = provider.live_url(&login(case, clip), case.id);
        format!("#EXTINF:-1 group-title=\"Test\",{}\n{url}\n", case.name)
    };
    let entries: String = cases.iter().map(entry).collect();
    format!("#EXTM3U\n{entries}")
}
