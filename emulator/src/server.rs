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
use crate::control;
use crate::line::{Line, LineStream};
use crate::reply::ReplyBody;
use crate::service::respond;

/// How long a connection may be idle, or take over the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// How long requests under way get to finish once the emulator is stopped.
const GRACE: Duration = Duration::from_secs(2);
/// How long to wait before accepting again when the process has run out of sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until told to stop; returns when no connection, task or thread of the emulator is left.
pub(crate) fn run(
    runtime: Runtime,
    listener: TcpListener,
    control: Option<TcpListener>,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    runtime.block_on(async {
        let of_control = async {
            if let Some(listener) = control {
                let serve = |stream, _, stop| control::connection(stream, Arc::clone(&shared), stop);
                accept(listener, stop.clone(), serve).await;
            }
        };
        let serve = |stream, client, stop| connection(stream, client, Arc::clone(&shared), stop);
        tokio::join!(accept(listener, stop.clone(), serve), of_control);
    });
    // Requests that outlived their connection, such as a callback that is waited for, end here.
    runtime.shutdown_timeout(Duration::from_secs(1));
}

/// Takes connections, each served by a task of its own, until told to stop.
async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
    serve: impl Fn(TcpStream, SocketAddr, watch::Receiver<bool>) -> F,
) {
    let stopping = stop.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    connections.spawn(serve(stream, client, stopping.clone()));
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
    if shared.faults.refuses() {
        let _ = stream.set_zero_linger();
        return;
    }
    // Answers are small and waited for; holding them back would add 40 ms to each.
    let _ = stream.set_nodelay(true);
    let line = Line::default();
    let stream = LineStream::new(stream, line.clone());
    let service = service_fn(move |request| {
        // A task of its own: what was begun is finished even if the client goes away, as OSS does, and a
        // panic ends one request and not the server.
        let task = tokio::spawn(respond(Arc::clone(&shared), client, request, line.clone()));
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
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn internal_error() -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::default());
    *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
    response
}
