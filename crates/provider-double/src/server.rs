//! The listeners: accepts, reads requests and hands them to whoever answers.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::provider::Shared;

pub(crate) async fn accept(shared: Arc<Shared>, listener: TcpListener, edge: bool) {
    let _ = (shared.at_accept(), listener, edge);
}
