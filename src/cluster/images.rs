//! What is known of container images: the program that runs when a Pod names none, and which tools are inside. An
//! image that is not listed is taken for a program of the user's own.

/// Tools inside an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tools {
    /// A Linux distribution with all network tools. *Simplified*: most images have only some of them.
    Full,
    /// busybox.
    Busybox,
    /// Nothing but the program itself: no shell either.
    Nothing,
}

/// What is known of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// `ENTRYPOINT`.
    pub entrypoint: &'static [&'static str],
    /// `CMD`.
    pub cmd: &'static [&'static str],
}

const fn image(entrypoint: &'static [&'static str], cmd: &'static [&'static str]) -> Image {
    Image { entrypoint, cmd }
}

/// busybox with a page that greets; another image of its last name is a program that greets and ends.
pub const HELLO: &str = "crccheck/hello-world";

/// Last part of an image's name, or its whole name where others end in the same, and what is known.
const KNOWN: [(&str, Image); 30] = [
    (HELLO, image(&[], &["httpd", "-f", "-p", "8000", "-h", "/www"])),
    ("coredns", image(&["/coredns"], &[])),
    ("proxyv2", image(&["/usr/local/bin/pilot-agent"], &[])),
    ("k8s-dns-node-cache", image(&["/node-cache"], &[])),
    ("nginx", image(&["/docker-entrypoint.sh"], &["nginx", "-g", "daemon off;"])),
    ("nginx-unprivileged", image(&["/docker-entrypoint.sh"], &["nginx", "-g", "daemon off;"])),
    ("httpd", image(&[], &["httpd-foreground"])),
    ("redis", image(&["docker-entrypoint.sh"], &["redis-server"])),
    ("valkey", image(&["docker-entrypoint.sh"], &["redis-server"])),
    ("postgres", image(&["docker-entrypoint.sh"], &["postgres"])),
    ("memcached", image(&["docker-entrypoint.sh"], &["memcached"])),
    ("agnhost", image(&["/agnhost"], &["pause"])),
    ("http-echo", image(&["/http-echo"], &[])),
    ("pause", image(&["/pause"], &[])),
    ("busybox", image(&[], &["sh"])),
    ("alpine", image(&[], &["/bin/sh"])),
    ("debian", image(&[], &["bash"])),
    ("ubuntu", image(&[], &["/bin/bash"])),
    ("fedora", image(&[], &["/bin/bash"])),
    ("centos", image(&[], &["/bin/bash"])),
    ("bash", image(&["docker-entrypoint.sh"], &["bash"])),
    ("curl", image(&["/entrypoint.sh"], &["curl"])),
    ("python", image(&[], &["python3"])),
    ("node", image(&["docker-entrypoint.sh"], &["node"])),
    ("netshoot", image(&[], &["zsh"])),
    ("network-multitool", image(&["/docker-entrypoint.sh"], &["nginx", "-g", "daemon off;"])),
    ("jessie-dnsutils", image(&[], &["/bin/bash"])),
    ("dnsutils", image(&[], &["/bin/bash"])),
    ("socat", image(&["socat"], &[])),
    ("suricata", image(&["/docker-entrypoint.sh"], &["suricata"])),
];

/// A server that nothing is known of but its program and where it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Words of the program, as `ps` shows them.
    pub argv: &'static [&'static str],
    /// Ports of TCP.
    pub tcp: &'static [u16],
    /// Ports of UDP.
    pub udp: &'static [u16],
}

const fn service(argv: &'static [&'static str], tcp: &'static [u16], udp: &'static [u16]) -> Service {
    Service { argv, tcp, udp }
}

/// Last part of an image's name, and what its program is without any configuration (the images' own documentation).
const SERVICES: [(&str, Service); 18] = [
    ("mysql", service(&["mysqld"], &[3306, 33060], &[])),
    ("mariadb", service(&["mariadbd"], &[3306], &[])),
    ("mongo", service(&["mongod", "--bind_ip_all"], &[27017], &[])),
    ("dnsmasq", service(&["dnsmasq", "-k"], &[53], &[53])),
    ("node-exporter", service(&["/bin/node_exporter"], &[9100], &[])),
    ("prometheus", service(&["/bin/prometheus"], &[9090], &[])),
    ("alertmanager", service(&["/bin/alertmanager"], &[9093, 9094], &[9094])),
    ("grafana", service(&["grafana", "server"], &[3000], &[])),
    (
        "fluentd",
        service(&["/usr/bin/ruby", "/usr/bin/fluentd", "-c", "/fluentd/etc/fluent.conf"], &[24224], &[24224]),
    ),
    ("elasticsearch", service(&["java"], &[9200, 9300], &[])),
    ("tomcat", service(&["java"], &[8080], &[])),
    ("registry", service(&["registry", "serve"], &[5000], &[])),
    ("influxdb", service(&["influxd"], &[8086], &[])),
    ("nats", service(&["/nats-server"], &[4222, 6222, 8222], &[])),
    ("rabbitmq", service(&["beam.smp"], &[5672, 15692, 25672], &[])),
    ("whoami", service(&["/whoami"], &[80], &[])),
    ("traefik", service(&["traefik"], &[80], &[])),
    ("caddy", service(&["caddy", "run"], &[80, 443], &[443])),
];

/// The server in an image; `None` for one that is not listed.
pub fn service_in(image: &str) -> Option<&'static Service> {
    let (name, _) = name_and_tag(image);
    SERVICES.iter().find(|(known, _)| *known == name).map(|(_, service)| service)
}

/// Images without a shell.
const BARE: [&str; 9] = [
    "pause",
    "coredns",
    "etcd",
    "kube-apiserver",
    "kube-scheduler",
    "kube-controller-manager",
    "http-echo",
    "hello-world",
    "metrics-server",
];

/// Scripts that only prepare and then run what follows them.
const WRAPPERS: [&str; 3] = ["docker-entrypoint.sh", "/docker-entrypoint.sh", "/entrypoint.sh"];

/// The last part of an image's name, and its tag.
pub fn name_and_tag(image: &str) -> (&str, Option<&str>) {
    let last = image.rsplit('/').next().unwrap_or(image);
    let named = last.split('@').next().unwrap_or(last);
    match named.split_once(':') {
        Some((name, tag)) => (name, Some(tag)),
        None => (named, None),
    }
}

/// Whether it is the busybox that greets, from whichever registry.
pub fn greets(image: &str) -> bool {
    let named = image.split('@').next().unwrap_or(image);
    let (path, tag) = named.rsplit_once(':').unwrap_or((named, ""));
    let path = if tag.contains('/') { named } else { path };
    path.strip_suffix(HELLO).is_some_and(|registry| registry.is_empty() || registry.ends_with('/'))
}

/// What is known of an image; `None` for one that is not listed.
pub fn known(image: &str) -> Option<&'static Image> {
    let (name, _) = name_and_tag(image);
    let name = if greets(image) { HELLO } else { name };
    KNOWN.iter().find(|(known, _)| *known == name).map(|(_, image)| image)
}

/// The tools inside an image.
pub fn tools(image: &str) -> Tools {
    let (name, tag) = name_and_tag(image);
    let says = |word: &str| name.contains(word) || tag.is_some_and(|tag| tag.contains(word));
    if greets(image) {
        Tools::Busybox
    } else if BARE.contains(&name) || image.contains("distroless") {
        Tools::Nothing
    } else if says("busybox") || says("alpine") {
        Tools::Busybox
    } else {
        Tools::Full
    }
}

/// Images that are built on Alpine although their names do not say so.
const ON_ALPINE: [&str; 5] = ["curl", "netshoot", "network-multitool", "agnhost", "http-echo"];

/// Whether the programs of an image are linked with musl: those of Alpine, and the variants that say so.
pub fn has_musl(image: &str) -> bool {
    let (name, tag) = name_and_tag(image);
    let says = |word: &str| name.contains(word) || tag.is_some_and(|tag| tag.contains(word));
    says("alpine") || says("musl") || ON_ALPINE.contains(&name)
}

/// The words of a container's program: `command` in place of the image's entry point, `args` in place of its `CMD`.
pub fn argv(image: &str, command: &[String], args: &[String]) -> Vec<String> {
    let own = known(image);
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut argv = if command.is_empty() {
        let served = || service_in(image).map_or_else(Vec::new, |service| words(service.argv));
        own.map_or_else(served, |image| words(image.entrypoint))
    } else {
        command.to_vec()
    };
    if !args.is_empty() || !command.is_empty() {
        argv.extend_from_slice(args);
    } else if let Some(image) = own {
        argv.extend(words(image.cmd));
    }
    if command.is_empty() && argv.first().is_some_and(|word| WRAPPERS.contains(&word.as_str())) {
        argv.remove(0);
        // The scripts put the program before words that are only options.
        if let (Some(first), Some(image)) = (argv.first(), own)
            && first.starts_with('-')
            && let Some(program) = image.cmd.first()
        {
            argv.insert(0, (*program).to_owned());
        }
    }
    argv
}

/// Directories that images begin in where that is not the root (`WORKDIR`), by the last part of their names.
const DIRECTORIES: [(&str, &str); 7] = [
    ("curl", "/home/curl_user"),
    ("httpd", "/usr/local/apache2"),
    ("netshoot", "/root"),
    ("redis", "/data"),
    ("tomcat", "/usr/local/tomcat"),
    ("valkey", "/data"),
    ("caddy", "/srv"),
];

/// The directory that an image's programs begin in.
pub fn directory(image: &str) -> &'static str {
    let (name, _) = name_and_tag(image);
    DIRECTORIES.iter().find(|(known, _)| *known == name).map_or("/", |(_, directory)| *directory)
}

/// The version of nginx in an image, by its tag.
pub fn nginx_version(image: &str) -> String {
    let (_, tag) = name_and_tag(image);
    let number = tag.and_then(|tag| tag.split('-').next()).unwrap_or("latest");
    match (number, number.split('.').count()) {
        ("stable" | "1.28" | "1", _) => "1.28.0".to_owned(),
        ("1.27", _) => "1.27.5".to_owned(),
        ("1.26", _) => "1.26.3".to_owned(),
        ("1.25", _) => "1.25.5".to_owned(),
        ("1.24", _) => "1.24.0".to_owned(),
        (full, 3) if full.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => full.to_owned(),
        _ => "1.29.3".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn an_image_is_known_by_the_last_part_of_its_name() {
        for image in ["nginx", "nginx:1.27-alpine", "docker.io/library/nginx@sha256:0", "r:5000/x/nginx:1"] {
            assert_eq!(
                argv(image, &[], &[]),
                words("nginx -g").into_iter().chain(["daemon off;".to_owned()]).collect::<Vec<_>>(),
                "{image}"
            );
        }
        assert_eq!(known("example.com/shop/cart:7"), None);
        assert_eq!(argv("example.com/shop/cart:7", &[], &words("--port 80")), words("--port 80"));
    }

    #[test]
    fn command_and_args_take_the_place_of_what_the_image_says() {
        let agnhost = "registry.k8s.io/e2e-test-images/agnhost:2.40";
        assert_eq!(argv(agnhost, &[], &[]), words("/agnhost pause"));
        assert_eq!(
            argv(agnhost, &[], &words("netexec --http-port=80")),
            words("/agnhost netexec --http-port=80")
        );
        assert_eq!(argv(agnhost, &words("sleep"), &words("9")), words("sleep 9"));
        assert_eq!(argv("curlimages/curl", &[], &words("-s http://b")), words("curl -s http://b"));
        assert_eq!(argv("redis:7", &[], &words("--port 7000")), words("redis-server --port 7000"));
        assert_eq!(argv("busybox", &[], &[]), words("sh"));
    }

    #[test]
    fn a_server_is_known_by_its_program_and_ports() {
        assert_eq!(argv("docker.io/library/mysql:8.4", &[], &[]), words("mysqld"));
        assert_eq!(
            argv("quay.io/prometheus/node-exporter", &[], &words("--path=/x")),
            words("/bin/node_exporter --path=/x")
        );
        assert_eq!(argv("mongo", &words("sleep 9"), &[]), words("sleep 9"));
        assert_eq!(service_in("fluent/fluentd:v1.17").map(|service| service.udp), Some(&[24224][..]));
        assert!(SERVICES.iter().all(|(name, _)| known(name).is_none()), "no image is listed twice");
    }

    #[test]
    fn an_image_says_which_tools_it_has() {
        for (image, wanted) in [
            ("busybox", Tools::Busybox),
            ("docker.io/library/busybox:1.36", Tools::Busybox),
            ("nginx:1.27-alpine", Tools::Busybox),
            ("r:5000/my-alpine@sha256:0", Tools::Busybox),
            ("debian:12", Tools::Full),
            ("alpine/git", Tools::Full),
            ("alpine.example:5000/debian", Tools::Full),
            ("gcr.io/distroless/static", Tools::Nothing),
            ("registry.k8s.io/pause:3.10", Tools::Nothing),
        ] {
            assert_eq!(tools(image), wanted, "{image}");
        }
    }

    #[test]
    fn the_tag_says_the_version() {
        for (image, version) in [
            ("nginx:1.22.1", "1.22.1"),
            ("nginx:1.27-alpine", "1.27.5"),
            ("nginx", "1.29.3"),
            ("nginx:latest", "1.29.3"),
        ] {
            assert_eq!(nginx_version(image), version);
        }
    }
}
