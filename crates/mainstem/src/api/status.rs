//! What runs now: `GET /`, `/status` and `/active-streams`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::App;
use super::error::{ApiError, ok};
use super::pools::pools;
use crate::channels::RunningSource;

/// `GET /`.
pub(super) async fn root() -> Response {
    ok(&json!({
        "message": "mainstem live-TV restreamer",
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": {
            "playlist": "/playlist.m3u8",
            "stream": "/stream/{id}",
            "status": "/status",
            "streams": "/streams",
            "active_streams": "/active-streams",
            "test": "/test",
            "debug": "/debug/{id}",
            "direct": "/direct/{id}",
            "accept": "POST /sources/{name}/accept",
            "series": "/series",
            "health": "/healthz",
            "ready": "/readyz",
        },
    }))
}

/// `GET /status`.
pub(super) async fn status(State(app): State<App>) -> Result<Response, ApiError> {
    let config = app.config();
    let sources = app.channels.sources();
    let catalog = app.channels.catalog();
    let usage = app.channels.pools().usage();
    let unsupported = app.unsupported.of(&catalog).await;
    let mut limits = BTreeMap::new();
    let mut available = BTreeMap::new();
    let mut details = Map::new();
    for configured in &config.sources {
        let name = configured.name.as_str();
        let running = sources.get(&catalog::SourceName::new(name));
        let (limit, limit_from) = match (running, configured.max_connections) {
            (Some(running), _) => app.channels.limit(running),
            (None, Some(max)) => (max as usize, "config"),
            (None, None) => (config.limits.account_connections as usize, "default"),
        };
        let current = usage.by_source.get(name).copied().unwrap_or(0);
        let left = limit.saturating_sub(current);
        limits.insert(name, limit);
        available.insert(name, left);
        let place = catalog
            .sources()
            .iter()
            .position(|source| source.name.as_str() == name);
        let kept = place.and_then(|place| Some(catalog.sources().get(place)?.kept));
        let unplayable = place.and_then(|place| unsupported.get(place).copied());
        details.insert(
            name.to_owned(),
            merge(
                json!({
                    "enabled": configured.enabled,
                    "connections": { "current": current, "max": limit, "available": left },
                    "limit_from": limit_from,
                    "in_channels": kept.unwrap_or(0),
                    "unsupported": unplayable.unwrap_or(0),
                }),
                report(running),
            ),
        );
    }
    Ok(ok(&json!({
        "status": "running",
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": app.started.elapsed().as_secs(),
        "total_streams": catalog.channels().len(),
        "sources": config.sources.len(),
        "connections": {
            "total_connections": usage.total,
            "max_total": usage.total_max,
            "available_total": usage.total_max.saturating_sub(usage.total),
            "source_connections": usage.by_source,
            "source_limits": limits,
            "source_availability": available,
            "waiting": usage.waiting,
        },
        "pools": pools(&app.channels, &usage),
        "source_details": details,
    })))
}

fn report(running: Option<&RunningSource>) -> Value {
    let Some(running) = running else {
        return json!({ "streams": 0, "last_refresh": null });
    };
    let report = running.handle.report.borrow().clone();
    let error = report
        .error
        .as_ref()
        .map(|(code, detail, at)| json!({ "code": code, "detail": detail, "at": time(*at) }));
    let held = report
        .held
        .map(|held| json!({ "entries": held.entries, "known": held.known, "since": time(held.since) }));
    let groups = report.groups.as_ref().map(|groups| {
        json!({
            "kinds": groups.kinds,
            "code": groups.code,
            "detail": groups.detail,
            "since": time(groups.since),
        })
    });
    json!({
        "streams": report.entries,
        "last_refresh": report.refreshed_at.and_then(time),
        "malformed": report.malformed,
        "stale": report.from_disk || error.is_some(),
        "from_disk": report.from_disk,
        "last_error": error,
        "held_back": held,
        "stale_groups": groups,
        "account": {
            "max_connections": report.account.connections,
            "active_connections": report.account.active,
            "ended": report.account.ended(SystemTime::now()),
            "timezone": report.account.timezone,
            "expires": report.account.expires_at.and_then(|at| Timestamp::from_second(at).ok()).map(|at| at.to_string()),
        },
        "series": report.series,
        "series_unexpanded": report.series_unexpanded,
    })
}

/// RFC 3339, to the second.
fn time(at: SystemTime) -> Option<String> {
    let at = Timestamp::try_from(at).ok()?;
    Timestamp::from_second(at.as_second())
        .ok()
        .map(|at| at.to_string())
}

fn merge(mut into: Value, from: Value) -> Value {
    if let (Value::Object(into), Value::Object(from)) = (&mut into, from) {
        into.extend(from);
    }
    into
}

/// `GET /active-streams`.
pub(super) async fn active_streams(State(app): State<App>) -> Result<Response, ApiError> {
    let usage = app.channels.pools().usage();
    let sources = app.channels.sources();
    let catalog = app.channels.catalog();
    let limit = |name: &str| {
        sources
            .get(&catalog::SourceName::new(name))
            .map(|source| app.channels.limit(source).0)
    };
    let availability: BTreeMap<&str, usize> = sources
        .iter()
        .map(|(name, source)| {
            let used = usage.by_source.get(name.as_str()).copied().unwrap_or(0);
            (name.as_str(), app.channels.limit(source).0.saturating_sub(used))
        })
        .collect();
    let active: Vec<Value> = usage
        .by_source
        .iter()
        .map(|(source, count)| json!({ "source": source, "connections": count, "limit": limit(source) }))
        .collect();
    let held: Vec<Value> = usage
        .held
        .iter()
        .map(|(source, purpose, watched)| json!({ "source": source.as_str(), "purpose": purpose.as_str(), "watched": watched }))
        .collect();
    let broadcasts = app.hub.status().await.map_err(|_| ApiError::shutting_down())?;
    let broadcasts: Vec<Value> = broadcasts
        .iter()
        .map(|(key, broadcast)| {
            json!({
                "id": key.channel.to_string(),
                "name": catalog.get(key.channel).map(|channel| channel.name().to_owned()),
                "source": broadcast.label.as_deref(),
                "live": broadcast.live,
                "hedge": broadcast.hedge.as_deref(),
                "slate": broadcast.slate.is_some(),
                "slate_message": broadcast.slate.map(mpegts::slate::Message::as_str),
                "viewers": broadcast.viewers.len(),
                "clients": broadcast.viewers.iter().map(|claim| claim.client.as_str()).collect::<Vec<_>>(),
                "failovers": broadcast.failovers,
                "bytes_in": broadcast.bytes_in,
                "ring_bytes": broadcast.ring_bytes,
                "last_failure": broadcast.last_failure,
            })
        })
        .collect();
    Ok(ok(&json!({
        "active_connections": usage.total,
        "max_connections": usage.total_max,
        "connections_by_source": usage.by_source,
        "availability_by_source": availability,
        "total_active_connections": usage.total,
        "active_streams": active,
        "slots": held,
        "waiting": usage.waiting,
        "pools": pools(&app.channels, &usage),
        "broadcasts": broadcasts,
    })))
}
