//! Which key URLs are OSS's own: the rule that keeps a forger from bringing his own key, and the
//! server from being sent to fetch from anywhere (SSRF).
//!
//! OSS: the URL "must start with" one of two prefixes (OSS, Callback). The rule here is stricter: what
//! follows may only be a plain path, so that no URL parser can read anything else into it.

/// The host that publishes the keys, with the slash that ends it.
const HOST: &str = "gosspublic.alicdn.com/";
/// The key that OSS signs with at present; its URL as path below the host.
const WELL_KNOWN: &str = "callback_pub_key_v1.pem";
const WELL_KNOWN_START: &str = "callback_pub_key_v";
const WELL_KNOWN_END: &str = ".pem";
const MAX_PATH: usize = 256;

/// A key URL that passed the rule. There is no other way to make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OfficialUrl<'a> {
    scheme: &'static str,
    path: &'a str,
}

impl<'a> OfficialUrl<'a> {
    /// Applies the rule to the text as the header holds it once Base64 is decoded: no trimming, no
    /// lowercasing, no percent-decoding.
    ///
    /// Refused beyond OSS's rule: an empty path, one over 256 bytes, `.`, `..` and empty segments, and
    /// all characters but letters, digits, `-`, `_`, `~`, `.` and `/`.
    pub(super) fn check(url: &'a str) -> Option<OfficialUrl<'a>> {
        let (scheme, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => ("http", rest),
            (_, Some(rest)) => ("https", rest),
            _ => return None,
        };
        let path = rest.strip_prefix(HOST).filter(|path| path.len() <= MAX_PATH)?;
        let plain = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_~.".contains(&b))
        };
        path.split('/').all(plain).then_some(OfficialUrl { scheme, path })
    }

    /// Whether this is the key that is built in, by either scheme.
    pub(super) fn is_well_known(&self) -> bool {
        self.path == WELL_KNOWN
    }

    /// Whether the name is that of OSS's present key, or of one that would follow it: OSS has not said how
    /// it will name those, but `v1` has a meaning.
    pub(super) fn is_likely(&self) -> bool {
        let version =
            self.path.strip_prefix(WELL_KNOWN_START).and_then(|rest| rest.strip_suffix(WELL_KNOWN_END));
        version.is_some_and(|version| matches!(version.as_bytes(), [b'1'..=b'9']))
    }

    /// Where to fetch from: by https whatever was named, unless `as_named`.
    pub(super) fn fetch_url(&self, as_named: bool) -> String {
        let scheme = if as_named { self.scheme } else { "https" };
        format!("{scheme}://{HOST}{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Random;
    use super::*;

    #[test]
    fn both_official_prefixes_pass_with_any_plain_file() {
        for url in [
            "http://gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "https://gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "https://gosspublic.alicdn.com/keys/2026/v2-a_b~c.pem",
            "https://gosspublic.alicdn.com/.well-known/a..b",
        ] {
            assert_eq!(OfficialUrl::check(url).map(|url| url.fetch_url(true)), Some(url.to_owned()));
        }
        let known = OfficialUrl::check("http://gosspublic.alicdn.com/callback_pub_key_v1.pem").unwrap();
        assert!(known.is_well_known());
        assert_eq!(known.fetch_url(false), "https://gosspublic.alicdn.com/callback_pub_key_v1.pem");
        assert!(
            !OfficialUrl::check("http://gosspublic.alicdn.com/x/callback_pub_key_v1.pem")
                .unwrap()
                .is_well_known()
        );
    }

    #[test]
    fn the_names_that_are_likely_official_are_nine() {
        let likely = |path: &str| {
            OfficialUrl::check(&format!("https://gosspublic.alicdn.com/{path}")).unwrap().is_likely()
        };
        for digit in 1..=9 {
            assert!(likely(&format!("callback_pub_key_v{digit}.pem")), "{digit}");
        }
        for path in [
            "callback_pub_key_v0.pem",
            "callback_pub_key_v10.pem",
            "callback_pub_key_v.pem",
            "callback_pub_key_v2",
            "callback_pub_key_va.pem",
            "x/callback_pub_key_v2.pem",
            "callback_pub_key_v2.pem.pem",
        ] {
            assert!(!likely(path), "{path}");
        }
    }

    #[test]
    fn whatever_else_a_parser_might_read_into_a_url_is_refused() {
        let long = format!("https://gosspublic.alicdn.com/{}", "a".repeat(257));
        for url in [
            "",
            "https://",
            "gosspublic.alicdn.com/k.pem",
            "//gosspublic.alicdn.com/k.pem",
            "HTTPS://gosspublic.alicdn.com/k.pem",
            "https://GOSSPUBLIC.alicdn.com/k.pem",
            "https://gosspublic.alicdn.com",
            "https://gosspublic.alicdn.com/",
            "https://gosspublic.alicdn.com./k.pem",
            "https://gosspublic.alicdn.com.evil.example/k.pem",
            "https://gosspublic.alicdn.com@evil.example/k.pem",
            "https://u:p@gosspublic.alicdn.com/k.pem",
            "https://@gosspublic.alicdn.com/k.pem",
            "https://gosspublic.alicdn.com:443/k.pem",
            "https://gosspublic.alicdn.com\\@evil.example/k.pem",
            "https:\\\\gosspublic.alicdn.com/k.pem",
            "https:/gosspublic.alicdn.com/k.pem",
            "https:///gosspublic.alicdn.com/k.pem",
            "https://gosspublic.alicdn.com/@evil.example",
            "https://gosspublic.alicdn.com/k.pem#",
            "https://gosspublic.alicdn.com/k.pem?",
            "https://gosspublic.alicdn.com/k.pem?x=1",
            "https://gosspublic.alicdn.com/../k.pem",
            "https://gosspublic.alicdn.com/./k.pem",
            "https://gosspublic.alicdn.com/%2e%2e/k.pem",
            "https://gosspublic.alicdn.com//evil.example/k.pem",
            "https://gosspublic.alicdn.com/k.pem/",
            "https://gosspublic.alicdn.com/k.pem\n",
            "https://gosspublic.alicdn.com/k.pem\r\nHost: evil.example",
            "https://gosspublic.alicdn.com/k .pem",
            "https://gosspublic.alicdn.com/k.pem\0",
            "\u{feff}https://gosspublic.alicdn.com/k.pem",
            " https://gosspublic.alicdn.com/k.pem",
            "https://gosspublic.alicdn.com/k.pem ",
            "https://gosspubl\u{456}c.alicdn.com/k.pem",
            "https://gosspublic\u{3002}alicdn.com/k.pem",
            "https://gosspublic.alicdn.com\u{2215}k.pem",
            "ftp://gosspublic.alicdn.com/k.pem",
            "https://x.gosspublic.alicdn.com/k.pem",
            "https://evil.example/https://gosspublic.alicdn.com/k.pem",
            &long,
        ] {
            assert_eq!(OfficialUrl::check(url), None, "{url:?}");
        }
    }

    /// The standard's URL parser must see the official host, and nothing else, in all that passes.
    #[test]
    fn a_url_that_passes_means_the_official_host_to_every_parser() {
        let mut random = Random::new(7);
        let pieces = [
            "http",
            "https",
            "://",
            ":",
            "/",
            "//",
            "gosspublic.alicdn.com",
            "gosspublic",
            ".",
            "..",
            "alicdn.com",
            "@",
            "evil.example",
            "\\",
            "%2f",
            "%2e",
            "?",
            "#",
            ":80",
            "k.pem",
            " ",
            "\t",
            "\n",
            "\0",
            "a",
            "é",
            "callback_pub_key_v1.pem",
        ];
        let mut passed = 0;
        for _ in 0..200_000 {
            let mut url = String::new();
            if random.below(2) == 0 {
                url.push_str("https://gosspublic.alicdn.com/");
            }
            for _ in 0..random.below(6) {
                url.push_str(pieces[random.below(pieces.len())]);
            }
            let Some(official) = OfficialUrl::check(&url) else { continue };
            passed += 1;
            for fetched in [official.fetch_url(true), official.fetch_url(false)] {
                let parsed = url::Url::parse(&fetched).unwrap();
                assert_eq!(parsed.host_str(), Some("gosspublic.alicdn.com"), "{url:?}");
                assert_eq!(
                    (parsed.port(), parsed.username(), parsed.password()),
                    (None, "", None),
                    "{url:?}"
                );
                assert_eq!((parsed.query(), parsed.fragment()), (None, None), "{url:?}");
                assert_eq!(parsed.as_str(), fetched, "the parser rewrites {url:?}");
            }
        }
        assert!(passed > 1000, "only {passed} of the URLs made here pass: the test proves little");
    }
}
