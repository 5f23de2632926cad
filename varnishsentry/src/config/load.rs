// SPDX-License-Identifier: BSD-2-Clause
//! The files of the configuration, and all that they say.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::document::{Table, parse};
use super::filters::section_of;
use super::problem::{Place, Problem, Problems};
use super::schema::{GLOBAL, WORKERS, find};
use super::values::{Values, check_keys};
use super::worker::{Surroundings, Worker, absolute, check_layer, named_workers, worker};

/// Where it is, unless `--config` says otherwise.
pub const FILE: &str = "/etc/varnishsentry.toml";
/// No file is longer.
const MAX_FILE: u64 = 1 << 20;
/// The worker of a configuration that names none.
const DEFAULT: &str = "default";

/// All that the operator says.
#[derive(Debug, PartialEq)]
pub struct Config {
    /// `None` remembers nothing.
    pub state_dir: Option<PathBuf>,
    pub status: Status,
    pub workers: Vec<Worker>,
}

/// How the daemon itself is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub socket: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
}

/// Reads the file and the folder `conf.d` that belongs to it: `/etc/varnishsentry.toml` has `/etc/varnishsentry/conf.d/*.toml`, in the order of their names.
pub fn load(file: &Path, around: &Surroundings<'_>) -> Result<Config, Vec<Problem>> {
    let mut problems = Problems::default();
    let mut top = read(file, &mut problems);
    for more in more_files(file, &mut problems) {
        top.join(read(&more, &mut problems), &mut problems);
    }
    let config = config(&top, around, &mut problems);
    problems.or(config)
}

/// What one text says, as if it was the only file.
pub fn load_text(file: &Path, text: &str, around: &Surroundings<'_>) -> Result<Config, Vec<Problem>> {
    let mut problems = Problems::default();
    let top = parse(&Arc::from(file), text, &mut problems);
    let config = config(&top, around, &mut problems);
    problems.or(config)
}

fn config(top: &Table, around: &Surroundings<'_>, problems: &mut Problems) -> Config {
    let globals: Vec<_> = find(GLOBAL, "").iter().flat_map(|section| section.keys.iter().map(|key| key.name)).collect();
    let others: Vec<_> = globals.into_iter().chain(["status", WORKERS]).collect();
    check_layer(top, &others, problems);
    let named = named_workers(top, problems);
    for (_, table) in &named {
        check_layer(table, &[], problems);
    }
    let workers = if named.is_empty() {
        vec![worker(DEFAULT, &[top], true, around, problems)]
    } else {
        let is_only = named.len() == 1;
        named.iter().map(|(name, table)| worker(name, &[table, top], is_only, around, problems)).collect()
    };
    let state_dir = find(GLOBAL, "").and_then(|section| {
        absolute(&mut Values::new(section, vec![top], problems), "state_dir", "/var/lib/varnishsentry")
    });
    Config { state_dir, status: status(top, problems), workers }
}

fn status(top: &Table, problems: &mut Problems) -> Status {
    let Some(section) = find(GLOBAL, "status") else { return Status::default() };
    let table = section_of(top, "status", problems);
    if let Some(table) = table {
        check_keys(table, section.keys.iter().map(|key| key.name), problems);
    }
    let mut values = Values::new(section, table.into_iter().collect(), problems);
    let socket = absolute(&mut values, "socket", "/run/varnishsentry/status.sock");
    let text = values.text("listen");
    let listen: Option<SocketAddr> = text.parse().ok();
    // There is no password: whoever reaches it may read it.
    if !text.is_empty() && !listen.is_some_and(|address| address.ip().is_loopback()) {
        values.refuse(&format!("listen must be a loopback address with a port, like 127.0.0.1:9749, got {text:?}"));
    }
    Status { socket, listen }
}

fn read(file: &Path, problems: &mut Problems) -> Table {
    let name: Arc<Path> = Arc::from(file);
    let text = text_of(file).unwrap_or_else(|error| {
        problems.add(&Place { file: Arc::clone(&name), line: 0 }, error.to_string());
        String::new()
    });
    parse(&name, &text, problems)
}

fn text_of(file: &Path) -> io::Result<String> {
    let about = fs::metadata(file)?;
    // Anything else may wait for its writer.
    if !about.is_file() && file != Path::new("/dev/null") {
        return Err(io::Error::other("not a regular file"));
    }
    if about.len() > MAX_FILE {
        return Err(io::Error::other(format!("larger than {MAX_FILE} bytes")));
    }
    fs::read_to_string(file)
}

/// The files of the folder; none if there is no folder.
fn more_files(file: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    let folder = file.with_extension("").join("conf.d");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if is_missing(&error) => return Vec::new(),
        Err(error) => {
            problems.add(&Place { file: Arc::from(&*folder), line: 0 }, error.to_string());
            return Vec::new();
        }
    };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use delivery::settings::DsnSource;
    use event::capture::level::Level;

    use super::*;
    use crate::config::builtin::{Builtin, Thresholds};
    use crate::config::sample::sample;
    use crate::config::schema::{FILTER, Form, Key, Section, WORKER};
    use crate::config::worker::{Filters, Source};

    fn tags() -> transaction::tags::Tags {
        transaction::tags::Tags::new([(1, "VCL_Log"), (2, "FetchError"), (3, "RespStatus")])
    }

    fn around(tags: &transaction::tags::Tags) -> Surroundings<'_> {
        Surroundings {
            tags,
            credentials: Some(Path::new("/run/credentials/x")),
            variable: |_| None,
            host: "edge1",
            is_dry: false,
        }
    }

    fn of(text: &str) -> Result<Config, Vec<String>> {
        let tags = tags();
        load_text(Path::new("/f"), text, &around(&tags))
            .map_err(|problems| problems.iter().map(|problem| problem.to_string()).collect())
    }

    #[test]
    fn nothing_said_is_one_worker_with_what_holds_by_default() {
        let config = of("").unwrap();
        assert_eq!(config.state_dir.as_deref(), Some(Path::new("/var/lib/varnishsentry")));
        assert_eq!(config.status.listen, None);
        let [worker] = &config.workers[..] else { panic!("{config:?}") };
        assert_eq!((&worker.source, &worker.filters), (&Source::default(), &Filters::default()));
        assert_eq!((worker.filters.builtin, worker.filters.thresholds), (Builtin::default(), Thresholds::default()));
        assert_eq!((&*worker.settings.name, &worker.settings.client.dsn), ("default", &DsnSource::None));
        assert!(!worker.has_server_name);
    }

    /// The lines of the sample that say what holds by default.
    fn defaults() -> String {
        let sample = sample();
        let lines: Vec<_> = sample.lines().collect();
        let said = lines.windows(2).filter_map(|pair| {
            let line = pair[1].strip_prefix('#')?;
            let is_section =
                line.starts_with('[') && !line.starts_with("[[") && line != "[tags]" && !line.starts_with("[worker");
            (is_section || pair[0].ends_with("Default:")).then_some(line)
        });
        said.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_sample_says_what_holds_by_default() {
        let defaults = defaults();
        let keys = GLOBAL.iter().chain(WORKER).filter(|section| !section.is_list).flat_map(|section| section.keys);
        assert_eq!(defaults.matches(" = ").count(), keys.filter(|key| !key.is_example).count());
        assert_eq!(of(&defaults), of(""), "{defaults}");
        assert_eq!(of(&sample()), of(""), "as it is, it says nothing");
    }

    #[test]
    fn each_example_of_the_sample_can_be_said() {
        let one = |section: &Section, Key { name, value, .. }: &Key| match (section.name, section.is_list) {
            ("", _) => format!("{name} = {value}\n"),
            ("filters", _) => format!("[[filters.VCL_Log]]\n{name} = {value}\n"),
            ("before_send", _) => format!("[[before_send]]\nset_level = \"debug\"\n{name} = {value}\n"),
            (section, true) => format!("[[{section}]]\n{name} = {value}\n"),
            (section, false) => format!("[{section}]\n{name} = {value}\n"),
        };
        for section in GLOBAL.iter().chain(WORKER).chain([&FILTER]) {
            for key in section.keys.iter().filter(|key| (section.name, key.name) != ("before_send", "set_level")) {
                let text = one(section, key);
                let config = of(&text);
                assert!(config.is_ok(), "{text}: {config:?}");
                if key.is_example && key.value != "\"\"" {
                    assert_ne!(config, of(""), "{text} does something");
                }
            }
        }
    }

    #[test]
    fn each_setting_refuses_what_it_cannot_be_with_its_file_line_and_name() {
        for section in GLOBAL.iter().chain(WORKER).filter(|section| !section.is_list) {
            for Key { name, form, .. } in section.keys {
                let bad = if matches!(form, Form::Text | Form::Secret | Form::Word(_)) { "7" } else { "\"s3cret\"" };
                let (head, line, path) = match section.name {
                    "" => (String::new(), 1, (*name).to_owned()),
                    section => (format!("[{section}]\n"), 2, format!("{section}.{name}")),
                };
                let problems = of(&format!("{head}{name} = {bad}\n")).unwrap_err();
                let begin = format!("/f:{line}: {path} must be ");
                assert!(problems.len() == 1 && problems[0].starts_with(&begin), "{problems:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_sentence() {
        let table: &[(&str, &[&str])] = &[
            ("\ndns = \"https://s3cret@h/1\"", &["/f:2: dns is unknown, expected one of dsn, "]),
            ("dsn = \"https://sentry.example/1\"", &["/f:1: dsn has no key"]),
            ("dsn = \"https://s3 cret@h/1\"", &["/f:1: dsn has white space"]),
            (
                "dsn = \"https://k@h/1\"\ndsn_file = \"/x\"",
                &["/f:1: dsn and dsn_file are both given, expected one of them"],
            ),
            ("dsn_file = \"x\"", &["/f:1: dsn_file must be an absolute path, got \"x\""]),
            ("dsn_credential = \"../x\"", &["/f:1: dsn_credential must be the name of a credential, got \"../x\""]),
            (
                "dsn_credential = \"x\"\ndsn_file = \"/x\"",
                &["/f:1: dsn_credential and dsn_file are both given, expected one of them"],
            ),
            ("throttle = -1", &["/f:1: throttle must be between 0 and 1000000, got -1"]),
            ("throttle = 1\nthrottle = 2", &["/f:2: not TOML: duplicate key"]),
            ("window = \"soon\"", &["/f:1: window must be a number of seconds, or a text like "]),
            ("sample_rate = 1.5", &["/f:1: sample_rate must be between 0 and 1, got 1.5"]),
            ("environment = \"a/b\"", &["/f:1: environment must not contain '/', got \"a/b\""]),
            ("grouping = \"all\"", &["/f:1: grouping must be one of session, request, vxid, raw, got \"all\""]),
            ("max_transactions = 0", &["/f:1: max_transactions must be between 1 and 1000000, got 0"]),
            ("queue = 5", &["/f:1: queue must be a section [queue], got a whole number"]),
            ("[queue]\nevents = 0\nbytes = 1", &["/f:2: queue.events must be between 1 and 65536, got 0"]),
            ("[server]\nclient_key = \"/k\"", &["/f:2: server.client_key is given without client_cert"]),
            ("[server]\nproxy = \"ftp://u:s3cret@h\"", &["/f:2: server.proxy "]),
            ("[spotlight]\nurl = \"ftp://u:s3cret@h\"", &["/f:2: spotlight.url must be true, false or a URL"]),
            ("[privacy]\nallow_headers = \"Cookie\"", &["/f:2: privacy.allow_headers cannot have \"cookie\""]),
            (
                "[privacy]\nallow_header = \"X\"",
                &["/f:2: privacy.allow_header is unknown, expected one of send_default_pii, "],
            ),
            (
                "[builtin]\nerror = \"on\"",
                &["/f:2: builtin.error must be one of fatal, error, warning, info, debug, off, got \"on\""],
            ),
            (
                "[thresholds]\nsess_dropped = -1",
                &["/f:2: thresholds.sess_dropped must be between 0 and 1000000000, got -1"],
            ),
            (
                "[lifecycle]\nevents = \"vcl\"",
                &["/f:2: lifecycle.events must be of the words start and death, got \"vcl\""],
            ),
            (
                "[lifecycle]\nevents = \"birth\"",
                &["/f:2: lifecycle.events must be of the words vcl, start and death, got \"birth\""],
            ),
            (
                "[task_log]\nform = \"all\"",
                &["/f:2: task_log.form must be one of none, breadcrumbs, attachment, both, got \"all\""],
            ),
            (
                "[filters.VCL_Log]\nregexp = \"x\"",
                &["/f:1: filters.VCL_Log must be of sections [[filters.VCL_Log]], got a section"],
            ),
            (
                "[[filters.VCL_Lug]]\nregexp = \"x\"",
                &["/f:1: filters.VCL_Lug: there is no tag \"VCL_Lug\", see vsl(7)"],
            ),
            (
                "[[filters.VCL_Log]]\n\nregexp = \"a(\"",
                &["/f:3: filters.VCL_Log.regexp is not a regular expression: unclosed group"],
            ),
            (
                "[[filters.VCL_Log]]\nmatch = \"a\"",
                &["/f:2: filters.VCL_Log.match is unknown, expected one of regexp, name, level"],
            ),
            (
                "[[filters.VCL_Log]]\nlevel = \"warn\"",
                &["/f:2: filters.VCL_Log.level must be one of fatal, error, warning, info, debug, got \"warn\""],
            ),
            (
                "[[ignore]]\nurl = \"*\"",
                &["/f:2: ignore.url is not a regular expression: repetition operator missing expression"],
            ),
            ("[[ignore]]", &["/f:1: ignore: all arguments are empty, expected one of them"]),
            ("[[before_send]]\nmessage = \"a\"", &["/f:1: before_send: "]),
            ("ignore = [1]", &["/f:1: ignore must be of sections [[ignore]], got a whole number"]),
            ("[tags]\nsite = 1", &["/f:2: tags.site must be a text in quotes, got a whole number"]),
            ("[worker.\"a b\"]", &["/f:1: worker.a b: name must be 1 to 64 letters"]),
            ("worker = 1", &["/f:1: worker must be a section [worker], got a whole number"]),
            ("[worker]\nshop = 1", &["/f:2: worker.shop must be a section [worker.shop], got a whole number"]),
            ("[worker.a]\nstate_dir = \"/x\"", &["/f:2: worker.a.state_dir is unknown, expected one of "]),
            ("[worker.a.worker.b]", &["/f:1: worker.a.worker is unknown, expected one of "]),
            (
                "[status]\nlisten = \"0.0.0.0:80\"",
                &[
                    "/f:2: status.listen must be a loopback address with a port, like 127.0.0.1:9749, got \"0.0.0.0:80\"",
                ],
            ),
            ("[status]\nlisten = \"9749\"", &["/f:2: status.listen must be a loopback address"]),
            ("[status]\nsocket = \"x\"", &["/f:2: status.socket must be an absolute path, got \"x\""]),
            ("state_dir = \"x\"", &["/f:1: state_dir must be an absolute path, got \"x\""]),
            // What stands at the top for two workers is said once.
            ("throttle = -1\n[worker.a]\n[worker.b]", &["/f:1: throttle must be between 0 and 1000000, got -1"]),
            (
                "throttle = -1\n[queue]\nevents = 0",
                &[
                    "/f:1: throttle must be between 0 and 1000000, got -1",
                    "/f:3: queue.events must be between 1 and 65536, got 0",
                ],
            ),
        ];
        for (text, expected) in table {
            let problems = of(text).unwrap_err();
            assert_eq!(problems.len(), expected.len(), "{problems:?}");
            for (problem, expected) in problems.iter().zip(*expected) {
                assert!(problem.starts_with(expected), "{problem} of {text}");
                assert!(!problem.contains("s3cret") && !problem.contains('\n'), "{problem}");
            }
        }
    }

    #[test]
    fn a_worker_has_what_stands_at_the_top_but_for_what_it_says_itself() {
        let config = of("dsn = 'https://k@h/1'\nthrottle = 5\n[queue]\nevents = 7\n[[filters.VCL_Log]]\nregexp = 'a'\n[tags]\nsite = 'x'\ntier = 'y'\n\
             [worker.shop]\ninstance = 'shop'\nthrottle = 6\n[worker.shop.queue]\nbytes = '1MB'\n[[worker.shop.filters.FetchError]]\nlevel = 'info'\n\
             [worker.shop.tags]\nsite = 'z'\n[worker.blog]\ndsn = 'https://k@h/2'\n")
        .unwrap();
        let told: Vec<_> = config
            .workers
            .iter()
            .map(|worker| {
                let DsnSource::Text(dsn) = &worker.settings.client.dsn else { panic!("no DSN") };
                let filters = worker.filters.own.iter().map(|filter| (filter.tag, filter.level)).collect::<Vec<_>>();
                let queue = worker.settings.queue;
                let (client, tags) = (&worker.settings.client, worker.filters.tags.clone());
                (
                    &*worker.settings.name,
                    dsn.project().to_owned(),
                    client.throttle,
                    queue.entries,
                    queue.bytes,
                    filters,
                    tags,
                )
            })
            .collect();
        let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let (log, fetch) = (("VCL_Log", Level::Error), ("FetchError", Level::Info));
        let shop = vec![tag("site", "z"), tag("tier", "y")];
        let blog = vec![tag("site", "x"), tag("tier", "y")];
        assert_eq!(
            told,
            [
                ("shop", "1".to_owned(), 6, 7, 1 << 20, vec![log, fetch], shop),
                ("blog", "2".to_owned(), 5, 7, 16 << 20, vec![log], blog),
            ]
        );
        assert_eq!(config.workers[0].source.instance.as_deref(), Some("shop"));
        assert_eq!(config.workers[1].source, Source::default());
    }

    #[test]
    fn a_dsn_comes_from_a_text_a_file_or_a_credential() {
        let dsn = |text: &str| of(text).unwrap().workers.remove(0).settings.client.dsn;
        assert!(matches!(dsn("dsn = 'https://k@h/1'"), DsnSource::Text(_)));
        assert_eq!(dsn("dsn_file = '/etc/dsn'"), DsnSource::File("/etc/dsn".into()));
        assert_eq!(dsn("dsn_credential = 'shop'"), DsnSource::File("/run/credentials/x/shop".into()));
        let tags = tags();
        let bare = Surroundings { credentials: None, ..around(&tags) };
        let problems = load_text(Path::new("/f"), "dsn_credential = 'shop'", &bare).unwrap_err();
        let told =
            "/f:1: dsn_credential is given, and systemd has given no credentials: LoadCredential= in the unit does";
        assert_eq!(problems[0].to_string(), told);
    }

    #[test]
    fn a_variable_counts_for_a_single_worker_and_one_that_cannot_be_used_is_a_problem() {
        let tags = tags();
        let set = |name: &str| match name {
            "SENTRY_DSN" => Some("https://k@h/9".into()),
            "SENTRY_RELEASE" => Some("r".into()),
            _ => None,
        };
        let around = Surroundings { variable: set, ..around(&tags) };
        let dsns = |text| {
            let config = load_text(Path::new("/f"), text, &around).unwrap();
            let told = |worker: &Worker| {
                (worker.settings.client.dsn != DsnSource::None, worker.settings.client.identity.release().is_some())
            };
            config.workers.iter().map(told).collect::<Vec<_>>()
        };
        assert_eq!(dsns(""), [(true, true)]);
        assert_eq!(dsns("[worker.a]\n[worker.b]"), [(false, true), (false, true)]);
        let bad = Surroundings { variable: |name| (name == "SENTRY_SAMPLE_RATE").then(|| "all".into()), ..around };
        let problems = load_text(Path::new("/f"), "", &bad).unwrap_err();
        assert_eq!(problems[0].to_string(), "environment: SENTRY_SAMPLE_RATE must be between 0 and 1, got \"all\"");
    }

    /// A folder that is there as long as the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Scratch {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("varnishsentry-config-{}-{number}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_folder_beside_the_file_goes_on_where_it_ends() {
        let scratch = Scratch::new();
        let (file, folder) = (scratch.0.join("edge.toml"), scratch.0.join("edge/conf.d"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(&file, "dsn = 'https://k@h/1'\n").unwrap();
        fs::write(folder.join("20-shop.toml"), "[worker.shop]\n").unwrap();
        fs::write(folder.join("10-blog.toml"), "[worker.blog]\n[queue]\nevents = 3\n").unwrap();
        fs::write(folder.join("old.toml.bak"), "nonsense").unwrap();
        let tags = tags();
        let names =
            |config: &Config| config.workers.iter().map(|worker| worker.settings.name.clone()).collect::<Vec<_>>();
        let config = load(&file, &around(&tags)).unwrap();
        assert_eq!(
            (names(&config), config.workers[1].settings.queue.entries),
            (vec!["blog".to_owned(), "shop".to_owned()], 3)
        );

        fs::write(folder.join("30-more.toml"), "\nthrotle = 1\ndsn = 'https://s3cret@h/2'\n").unwrap();
        let problems = load(&file, &around(&tags)).unwrap_err();
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let (more, file) = (folder.join("30-more.toml"), file.display());
        assert_eq!(told[0], format!("{}:3: dsn is already set at {file}:1", more.display()));
        assert!(told[1].starts_with(&format!("{}:2: throtle is unknown", more.display())), "{told:?}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let scratch = Scratch::new();
        let tags = tags();
        let missing = load(&scratch.0.join("none.toml"), &around(&tags)).unwrap_err();
        assert!(missing[0].to_string().ends_with("none.toml: No such file or directory (os error 2)"), "{missing:?}");
        let folder = load(&scratch.0, &around(&tags)).unwrap_err();
        assert!(folder[0].to_string().ends_with(": not a regular file"), "{folder:?}");
    }
}
