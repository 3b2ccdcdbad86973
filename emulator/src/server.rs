//! The emulator's thread: takes connections, serves them, and ends them all when told to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Shared;
use crate::reply::ReplyBody;
use crate::service::respond;

/// How long a connection may be idle, or take over the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// How long requests under way get to finish once the emulator is stopped.
const GRACE: Duration = Duration::from_secs(2);
/// How long to wait before accepting again when the process has run out of sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until told to stop; returns when no connection, task or thread of the emulator is left.
pub(crate) fn run(runtime: Runtime, listener: TcpListener, shared: Arc<Shared>, stop: watch::Receiver<bool>) {
    runtime.block_on(serve(listener, shared, stop));
    // Requests that outlived their connection, such as a callback that is waited for, end here.
    runtime.shutdown_timeout(Duration::from_secs(1));
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let stopping = stop.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    connections.spawn(connection(stream, client, Arc::clone(&shared), stopping.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        connections.shutdown().await;
    }
}

async fn connection(
    stream: TcpStream,
    client: SocketAddr,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    // Answers are small and waited for; holding them back would add 40 ms to each.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        // A task of its own: what was begun is finished even if the client goes away, as OSS does, and a
        // panic ends one request and not the server.
        let task = tokio::spawn(respond(Arc::clone(&shared), client, request));
        async move { Ok::<_, Infallible>(task.await.unwrap_or_else(|_| internal_error())) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        // A request that came whole counts, whether or not its sender is still there.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stopped(&mut stop) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %client, "connection ended early");
    }
}

/// Comes back when the emulator is to stop; its handle may be gone by then.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn internal_error() -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::default());
    *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
    response
}
