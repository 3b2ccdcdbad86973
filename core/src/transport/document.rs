//! Fetches one small public document: OSS's callback key. Its URL comes from a stranger's request, so
//! no redirect is followed, nothing of ours goes along, and time and size are bounded.

use std::time::Duration;

use http::Method;

use super::{Fetch, FetchSettings, fetch};

/// Gets a small document by GET, on a connection of its own.
#[derive(Debug)]
pub(crate) struct SmallFetch {
    /// All of it: connecting, the request, the answer.
    pub timeout: Duration,
    /// Longest answer in bytes.
    pub max_bytes: usize,
    pub settings: FetchSettings,
}

impl SmallFetch {
    /// The document. Blocks.
    pub fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let request = Fetch {
            method: Method::GET,
            url,
            headers: &[],
            form: None,
            connect_timeout: self.timeout,
            timeout: self.timeout,
            bytes_max: self.max_bytes,
        };
        let answer = fetch(&self.settings, request).map_err(|failure| failure.message)?;
        match answer.status {
            200 => Ok(answer.body.to_vec()),
            status @ 300..=399 => {
                Err(format!("it answers with status {status}, and redirects are not followed"))
            }
            status => Err(format!("it answers with status {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};

    use super::*;
    use crate::engine;
    use crate::transport::ProxyChoice;

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
        SmallFetch { timeout, max_bytes: 1024, settings: FetchSettings { proxy, ..FetchSettings::default() } }
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
        assert!(fetch(ProxyChoice::None).get(&url).unwrap_err().contains("within 1.5s"));
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
