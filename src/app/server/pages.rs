//! Pages and sentences that servers have by themselves.

/// Why, in a page of Apache's.
pub(super) fn apache_reason(status: u16) -> &'static str {
    match status {
        404 => "<p>The requested URL was not found on this server.</p>\n",
        416 => {
            "<p>None of the range-specifier values in the Range\nrequest-header field overlap the current extent\nof the selected resource.</p>\n"
        }
        405 => "<p>The requested method is not allowed for this URL.</p>\n",
        _ => "<p>Your browser sent a request that this server could not understand.<br />\n</p>\n",
    }
}

/// Why, in a page of `http.server`.
pub(super) fn python_reason(status: u16) -> &'static str {
    match status {
        404 => "Nothing matches the given URI",
        501 => "Server does not support this operation",
        _ => "Bad request syntax or unsupported method",
    }
}

/// A page of `http.server` for an error.
pub(super) fn python_page(status: u16, message: &str, reason: &str) -> String {
    format!(
        "<!DOCTYPE HTML>\n<html lang=\"en\">\n    <head>\n        <meta charset=\"utf-8\">\n        \
         <title>Error response</title>\n    </head>\n    <body>\n        <h1>Error response</h1>\n        \
         <p>Error code: {status}</p>\n        <p>Message: {message}.</p>\n        \
         <p>Error code explanation: {status} - {reason}.</p>\n    </body>\n</html>\n"
    )
}

/// The list that `http.server` shows of an empty directory.
pub(super) fn python_listing(path: &str) -> String {
    format!(
        "<!DOCTYPE HTML>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Directory listing for {path}</title>\n\
         </head>\n<body>\n<h1>Directory listing for {path}</h1>\n<hr>\n<ul>\n</ul>\n<hr>\n</body>\n</html>\n"
    )
}

/// What the image of nginx shows at `/`.
pub(super) const NGINX_INDEX: &str = r#"<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto;
font-family: Tahoma, Verdana, Arial, sans-serif; }
</style>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>If you see this page, the nginx web server is successfully installed and
working. Further configuration is required.</p>

<p>For online documentation and support please refer to
<a href="http://nginx.org/">nginx.org</a>.<br/>
Commercial support is available at
<a href="http://nginx.com/">nginx.com</a>.</p>

<p><em>Thank you for using nginx.</em></p>
</body>
</html>
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_page_is_as_long_as_the_real_one() {
        assert_eq!(NGINX_INDEX.len(), 615);
    }
}
