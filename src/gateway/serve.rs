//! The address that the gateway listens on: connections, and what bounds them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::entrance::{Door, answer};
use super::house::House;

/// How many connections there may be at a time.
const CONNECTIONS: usize = 4096;

/// How long a request's head may take, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(20);

/// The largest head of a request, in bytes.
const BUFFER: usize = 64 << 10;

/// Opens the address.
///
/// # Errors
/// When it is taken, or may not be used.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
}

/// Serves until `stop` says so.
pub async fn serve(
    house: Arc<House>,
    listener: TcpListener,
    address: SocketAddr,
    mut stop: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // A connection waits in the system's queue until there is room.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // No more descriptors, most likely: some come back.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stopped(&mut stop) => return,
        };
        // Without it an answer waits for the other side's acknowledgement, 40 ms.
        if stream.set_nodelay(true).is_ok() {
            tokio::spawn(connection(Arc::clone(&house), stream, address, permit, stop.clone()));
        }
    }
}

async fn connection(
    house: Arc<House>,
    stream: TcpStream,
    address: SocketAddr,
    _permit: OwnedSemaphorePermit,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(|request| {
        let house = Arc::clone(&house);
        async move { Ok::<_, Infallible>(answer(&house, request, Door::Net(address)).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A connection that breaks concerns nobody else.
        _ = serving => {}
        () = stopped(&mut stop) => {}
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The other end is gone when the gateway is.
    let _ = stop.wait_for(|stop| *stop).await;
}
