//! The pools of connections as the operator sees them: under `pools` in `/status` and `/active-streams`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use catalog::{Catalog, SourceName};
use serde_json::{Value, json};

use crate::channels::{Channels, RunningSource};
use crate::slot::{Login, PoolUsage, Subject, Usage};

/// Every login in use, or that a source's list is asked for with: its limit and who says so, who has a connection and
/// for what, who waits, what still counts at the provider, and until when it is left alone and why.
pub(super) fn pools(channels: &Channels, usage: &Usage) -> Value {
    let (catalog, sources) = (channels.catalog(), channels.sources());
    let mut pools: BTreeMap<Login, (PoolUsage, Option<RunningSource>)> = BTreeMap::new();
    for source in sources.values() {
        let of_login = pools.entry(source.handle.login.clone()).or_default();
        of_login.1 = Some(source.clone());
        for further in &source.handle.report.borrow().further {
            pools.entry(further.login.clone()).or_default().1 = Some(source.clone());
        }
    }
    for (login, used) in &usage.pools {
        let pool = pools.entry(login.clone()).or_default();
        let by = |name: &SourceName| sources.get(name).cloned();
        pool.1 = pool
            .1
            .take()
            .or_else(|| used.held.iter().find_map(|held| by(&held.source)));
        pool.0 = used.clone();
    }
    let shown = pools
        .iter()
        .map(|(login, (used, source))| pool(channels, &catalog, login, used, source.as_ref()));
    Value::Array(shown.collect())
}

fn pool(
    channels: &Channels,
    catalog: &Catalog,
    login: &Login,
    used: &PoolUsage,
    source: Option<&RunningSource>,
) -> Value {
    let (limit, from) = source.map_or((None, "unknown"), |source| {
        let (limit, from) = channels.login_limit(login, source);
        (Some(limit), from)
    });
    let lowered = used
        .lowered
        .filter(|(lowered, _)| limit.is_none_or(|limit| *lowered < limit));
    let held = used.held.iter().map(|held| {
        json!({
            "source": held.source.as_str(),
            "purpose": held.purpose.as_str(),
            "id": held.subject.as_deref(),
            "name": name(catalog, held.subject.as_ref()),
            "watched": held.watched,
            "seconds": held.held_for.as_secs(),
        })
    });
    let kept = used.kept.iter().map(|(source, subject)| {
        json!({ "source": source.as_str(), "id": subject.as_deref(), "name": name(catalog, subject.as_ref()) })
    });
    let waiting = used.waiting.iter().map(|(purpose, subject, since)| {
        json!({
            "purpose": purpose.as_str(),
            "id": subject.as_deref(),
            "name": name(catalog, subject.as_ref()),
            "seconds": since.as_secs(),
        })
    });
    let account = source.map(|source| source.handle.report.borrow().account_of(login).clone());
    json!({
        "login": login.to_string(),
        "limit": lowered.map(|(lowered, _)| lowered).or(limit),
        "limit_from": if lowered.is_some() { "provider" } else { from },
        "lowered": lowered.map(|(to, left)| json!({ "to": to, "from": limit, "seconds": seconds(left) })),
        "in_use": used.held.len() + used.kept.len() + used.lingering,
        "held": held.collect::<Vec<_>>(),
        "kept": kept.collect::<Vec<_>>(),
        "lingering": used.lingering,
        "waiting": waiting.collect::<Vec<_>>(),
        "cooling": used.cooling.map(|(left, why)| json!({ "seconds": seconds(left), "reason": why.as_str() })),
        "release_delay": {
            "configured_seconds": source.map(|source| source.config.release_delay.as_secs_f64()),
            "learned_seconds": used.learned_delay.as_secs_f64(),
            "learned_hls_seconds": used.learned_session_delay.as_secs_f64(),
        },
        "account": account.map(|account| json!({
            "max_connections": account.connections,
            "active_connections": account.active,
            "ended": account.ended(SystemTime::now()),
        })),
    })
}

fn name(catalog: &Catalog, subject: Option<&Subject>) -> Option<String> {
    let channel = catalog.get(subject?.parse().ok()?)?;
    Some(channel.name().to_owned())
}

/// Rounded up: something that lasts for half a second still lasts.
fn seconds(left: Duration) -> u64 {
    left.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}
