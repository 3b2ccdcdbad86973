//! Fetches one small public document: OSS's callback key. Its URL comes from a stranger's request, so
//! no redirect is followed, nothing of ours goes along, and time and size are bounded.

use std::time::Duration;

use super::http::failure;
use super::{FailureCause, ProxyChoice, TlsSettings};
use crate::engine;

/// Gets a small document by GET, on a connection of its own.
#[derive(Debug)]
pub(crate) struct SmallFetch {
    /// All of it: connecting, the request, the answer.
    pub timeout: Duration,
    /// Longest answer in bytes.
    pub max_bytes: usize,
    pub proxy: ProxyChoice,
    pub tls: TlsSettings,
}

impl SmallFetch {
    /// The document. Blocks, on a thread of its own: the caller's may belong to another runtime, where
    /// waiting is not allowed.
    pub fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        std::thread::scope(|scope| {
            let worker = std::thread::Builder::new().name("oss-callback-key".to_owned());
            let worker = worker
                .spawn_scoped(scope, || {
                    let runtime = engine::runtime().map_err(|error| error.message().to_owned())?;
                    let outcome = runtime
                        .block_on(async { tokio::time::timeout(self.timeout, self.exchange(url)).await });
                    // A name that is still being looked up must not hold the caller.
                    runtime.shutdown_background();
                    outcome.unwrap_or_else(|_| Err(format!("it took longer than {:?}", self.timeout)))
                })
                .map_err(|error| format!("no thread could be started: {error}"))?;
            worker.join().unwrap_or_else(|_| Err("the HTTP client panicked".to_owned()))
        })
    }

    async fn exchange(&self, url: &str) -> Result<Vec<u8>, String> {
        let broken = |error| failure(FailureCause::Broken, error).message;
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.config()?)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .user_agent(concat!("oss-callback/", env!("CARGO_PKG_VERSION")));
        let client = self.proxy.apply(builder).build().map_err(broken)?;
        let mut response = client.get(url).send().await.map_err(broken)?;
        let status = response.status().as_u16();
        match status {
            200 => {}
            300..=399 => {
                return Err(format!("it answers with status {status}, and redirects are not followed"));
            }
            _ => return Err(format!("it answers with status {status}")),
        }
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if document.len() + chunk.len() > self.max_bytes {
                return Err(format!("it is longer than {} bytes", self.max_bytes));
            }
            document.extend_from_slice(&chunk);
        }
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};

    use super::*;

    /// Serves `answer` to whoever comes, and tells how many came and what the first of them sent.
    fn server(
        answer: impl Fn(&mut TcpStream) + Send + 'static,
    ) -> (String, Arc<AtomicUsize>, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (count, (tell, heard)) = (Arc::new(AtomicUsize::new(0)), mpsc::channel());
        let counter = count.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let mut head = [0; 4096];
                let length = stream.read(&mut head).unwrap_or(0);
                let _ = tell.send(String::from_utf8_lossy(&head[..length]).into_owned());
                answer(&mut stream);
            }
        });
        (address, count, heard)
    }

    fn text(head: &str, body: &str) -> String {
        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    }

    fn fetch(proxy: ProxyChoice) -> SmallFetch {
        let timeout = Duration::from_millis(1500);
        SmallFetch { timeout, max_bytes: 1024, proxy, tls: TlsSettings::default() }
    }

    #[test]
    fn a_document_is_fetched_whole_and_with_nothing_of_ours() {
        let (address, _, heard) =
            server(|stream| stream.write_all(text("200 OK", "a key").as_bytes()).unwrap());
        let document = fetch(ProxyChoice::None).get(&format!("http://{address}/k.pem")).unwrap();
        assert_eq!(document, b"a key");
        let head = heard.recv().unwrap().to_ascii_lowercase();
        assert!(head.starts_with("get /k.pem http/1.1\r\n"), "{head}");
        for header in ["authorization", "cookie", "referer", "x-oss"] {
            assert!(!head.contains(header), "{head}");
        }
    }

    #[test]
    fn a_redirect_is_not_followed() {
        let (forbidden, contacted, _) = server(|stream| stream.write_all(b"never").unwrap());
        for status in
            ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
        {
            let location = format!("{status}\r\nLocation: http://{forbidden}/latest/meta-data");
            let (address, ..) =
                server(move |stream| stream.write_all(text(&location, "").as_bytes()).unwrap());
            let error = fetch(ProxyChoice::None).get(&format!("http://{address}/k.pem")).unwrap_err();
            assert!(error.contains("redirects are not followed"), "{error}");
        }
        assert_eq!(contacted.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn what_is_too_long_too_slow_or_no_success_is_refused() {
        let long = text("200 OK", &"a".repeat(1025));
        let (address, ..) = server(move |stream| stream.write_all(long.as_bytes()).unwrap());
        let url = format!("http://{address}/k.pem");
        assert!(fetch(ProxyChoice::None).get(&url).unwrap_err().contains("longer than 1024"));

        // A length that is not told and never ends.
        let (address, ..) = server(|stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while stream.write_all(&[b'a'; 512]).is_ok() {}
        });
        let url = format!("http://{address}/k.pem");
        assert!(fetch(ProxyChoice::None).get(&url).unwrap_err().contains("longer than 1024"));

        // One byte now and then would pass any limit on silence.
        let (address, ..) = server(|stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while stream.write_all(b"a").is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let started = std::time::Instant::now();
        let url = format!("http://{address}/k.pem");
        assert!(fetch(ProxyChoice::None).get(&url).unwrap_err().contains("longer than 1.5s"));
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());

        let (address, ..) = server(|stream| stream.write_all(text("404 Not Found", "").as_bytes()).unwrap());
        let url = format!("http://{address}/k.pem");
        assert!(fetch(ProxyChoice::None).get(&url).unwrap_err().contains("status 404"));
    }

    #[test]
    fn it_works_within_an_asynchronous_runtime() {
        let (address, ..) = server(|stream| stream.write_all(text("200 OK", "k").as_bytes()).unwrap());
        let runtime = engine::runtime().unwrap();
        let document =
            runtime.block_on(async { fetch(ProxyChoice::None).get(&format!("http://{address}/k.pem")) });
        assert_eq!(document.unwrap(), b"k");
    }

    #[test]
    fn https_asks_a_proxy_for_a_tunnel_to_the_named_host() {
        let (proxy, _, heard) = server(|stream| {
            let _ = stream.write_all(text("403 Forbidden", "").as_bytes());
        });
        let proxy = ProxyChoice::parse(&format!("http://{proxy}")).unwrap();
        assert!(fetch(proxy).get("https://gosspublic.alicdn.com/other.pem").is_err());
        assert!(heard.recv().unwrap().starts_with("CONNECT gosspublic.alicdn.com:443 "));
    }
}
