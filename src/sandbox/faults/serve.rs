//! Serves a laboratory on a real socket, where a broken connection is one.

use std::error::Error;
use std::future::Future;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, sleep_until, timeout};

use super::injector::{ConnectionFault, FaultInjector};

/// How long calls in flight may take to end when the server stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait when no connection can be accepted, such as when the process has too many files open.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

impl FaultInjector {
    /// Answers whoever connects until `stop` is ready, then lets the calls in flight end.
    ///
    /// Fails only when the address can't be taken again after a time of refusing.
    pub async fn serve(
        self,
        mut listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let address = listener.local_addr()?;
        let connections = GracefulShutdown::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = self.shared.refusal.notified() => {
                    drop(listener);
                    listener = tokio::select! {
                        () = &mut stop => break,
                        listener = self.rebind(address) => listener?,
                    };
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.clone().serve_connection(stream, &connections),
                    Err(_) => sleep(ACCEPT_RETRY_DELAY).await,
                },
            }
        }
        // Whoever keeps a call open for longer is cut.
        let _ = timeout(SHUTDOWN_TIMEOUT, connections.shutdown()).await;
        Ok(())
    }

    /// Waits until the time of refusing is over.
    async fn rebind(&self, address: SocketAddr) -> io::Result<TcpListener> {
        while let Some(until) = self.refusing_until() {
            sleep_until(until).await;
        }
        TcpListener::bind(address).await
    }

    fn serve_connection(self, stream: TcpStream, connections: &GracefulShutdown) {
        // A second handle, for what no HTTP server would write.
        let Ok((stream, raw)) = split(stream) else {
            return;
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self));
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            let Err(error) = connection.await else {
                return;
            };
            if broken(&error) == Some(ConnectionFault::Garbage) {
                // The connection is about to close in any case, so nobody is told if this fails.
                let _ = write_garbage(raw);
            }
        });
    }
}

fn split(stream: TcpStream) -> io::Result<(TcpStream, std::net::TcpStream)> {
    let stream = stream.into_std()?;
    let raw = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, raw))
}

fn write_garbage(mut raw: std::net::TcpStream) -> io::Result<()> {
    raw.write_all(b"\x00\xff\x15\x03 this is not HTTP \x7f\r\n\r\n")?;
    raw.shutdown(Shutdown::Both)
}

/// How the laboratory broke the connection, if it was the laboratory.
fn broken(error: &hyper::Error) -> Option<ConnectionFault> {
    let service = error.source()?.downcast_ref::<io::Error>()?;
    service.get_ref()?.downcast_ref().copied()
}
