use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::listener;
use super::signals::listen_to_signals;
use crate::store::Watching;
use crate::system::System;
use crate::watch::{Inbox, Snapshot};

/// The control socket of this process; gone when this is dropped.
pub struct Control {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    system: Arc<dyn System>,
    socket: PathBuf,
}

/// What else runs in the thread of the control socket.
pub struct Guest {
    /// What it answers at the socket.
    pub routes: Router,
    /// Comes when it has ended, which it does when this is waited for.
    pub end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Starts what else runs there, inside of its runtime.
pub type Invite = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = io::Result<Guest>> + Send>> + Send>;

#[derive(Clone)]
struct Shared {
    watching: Arc<Watching>,
    inbox: Arc<Inbox>,
    snapshot: Snapshot,
}

impl Control {
    /// Opens the socket that `watching` names and listens to signals: SIGHUP asks for a look at
    /// everything, SIGTERM and Ctrl-C for the end. A guest is started before the socket is opened, and has
    /// ended when this is dropped.
    ///
    /// # Errors
    /// When the socket cannot be made. The right to watch must be held, so that none is in use there.
    pub fn start(
        system: Arc<dyn System>,
        watching: Watching,
        inbox: Arc<Inbox>,
        snapshot: Snapshot,
        invite: Option<Invite>,
    ) -> io::Result<Self> {
        let socket = watching.socket.clone();
        listener::make_room(&*system, &socket)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel::<()>();
        let (tell_opened, opened) = std::sync::mpsc::channel::<io::Result<()>>();
        let shared = Shared { watching: Arc::new(watching), inbox: inbox.clone(), snapshot };
        let (doorkeeper, path) = (system.clone(), socket.clone());
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(move || {
            runtime.block_on(async {
                let began = async {
                    listen_to_signals(inbox)?;
                    let guest = match invite {
                        Some(invite) => Some(invite().await?),
                        None => None,
                    };
                    Ok::<_, io::Error>((listener::open(&*doorkeeper, &path)?, guest))
                };
                let (listener, guest) = match began.await {
                    Ok(began) => began,
                    Err(error) => return drop(tell_opened.send(Err(error))),
                };
                // Whoever starts us waits for this.
                let _ = tell_opened.send(Ok(()));
                let (routes, end) = guest.map(|guest| (guest.routes, guest.end)).unzip();
                let serving = axum::serve(listener, router(shared).merge(routes.unwrap_or_default()));
                tokio::select! {
                    _ = std::future::IntoFuture::into_future(serving) => {}
                    _ = ended => {}
                }
                if let Some(end) = end {
                    end.await;
                }
            });
            runtime.shutdown_background();
        })?;
        opened.recv().map_err(io::Error::other)??;
        Ok(Self { end: Some(end), thread: Some(thread), system, socket })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            // It may have ended by itself.
            let _ = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        listener::clear(&*self.system, &self.socket);
    }
}

fn router(shared: Shared) -> Router {
    let (metrics, status) = (shared.clone(), shared.clone());
    Router::new()
        .route("/metrics", get(async move || text_of(&metrics)))
        .route("/v1/status", get(async move || axum::Json(status_of(&status))))
        .route(
            "/v1/reconcile",
            post(async move || {
                shared.inbox.ask();
                StatusCode::ACCEPTED
            }),
        )
}

fn text_of(shared: &Shared) -> impl IntoResponse + use<> {
    let mut now = shared.snapshot.now();
    now.metrics.noticed = shared.inbox.noticed();
    let text = now.metrics.text(&now.conditions);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

fn status_of(shared: &Shared) -> Value {
    let now = shared.snapshot.now();
    json!({
        "format_version": 1,
        "watching": *shared.watching,
        "revision": now.revision,
        "polling": now.metrics.is_polling,
        "conditions": now.conditions,
        "suspended": now.suspensions,
    })
}
