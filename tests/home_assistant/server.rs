//! A real Home Assistant on loopback, with an invented house in it: installed from
//! PyPI beforehand, started without anything that looks around on the network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};
use tokio::time::{Instant, sleep};
use url::form_urlencoded::Serializer;

use super::person::Person;

/// The password of every user here.
const PASSWORD: &str = "correct horse";
/// How long a start or an end may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Home Assistant as it was installed into an environment of its own.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    python: PathBuf,
}

impl Installation {
    /// Every one that is there: what `NETBOX_AGENT_TEST_HASS` names, which is a path such
    /// as `…/bin/hass`, or else each folder in `target/home-assistant`.
    pub(crate) fn all() -> Vec<Installation> {
        let named = std::env::var_os("NETBOX_AGENT_TEST_HASS");
        let found: Vec<PathBuf> = match &named {
            Some(paths) => std::env::split_paths(paths).collect(),
            None => {
                let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
                let folders = fs::read_dir(target.join("home-assistant")).into_iter().flatten();
                let mut found: Vec<PathBuf> =
                    folders.map(|folder| folder.unwrap().path().join("bin/hass")).collect();
                found.sort();
                found.retain(|path| path.exists());
                found
            }
        };
        // Its script names the folder that it was installed into, which may have moved.
        let installations: Vec<Installation> = found
            .iter()
            .map(|path| Installation { python: path.with_file_name("python3") })
            .collect();
        for one in &installations {
            assert!(one.python.exists(), "there is no {}", one.python.display());
        }
        installations
    }
}

/// A running Home Assistant. It ends with this value.
pub(crate) struct Server {
    installation: Installation,
    home: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
    http: reqwest::Client,
    /// The long-lived access token of the administrator.
    pub(crate) token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            let last = log.lines().rev().take(40).collect::<Vec<_>>();
            let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
            #[expect(clippy::print_stderr, reason = "a test that failed tells why")]
            {
                eprintln!("the end of Home Assistant's log:\n{last}");
            }
        }
    }
}

impl Server {
    /// Starts one that nobody has used, and makes its owner and a token. `house` is what
    /// the integration puts into it once a part of it is added.
    pub(crate) async fn start(installation: &Installation, house: &Json) -> Self {
        // Where a client is built, the libraries want to know whose cryptography to use.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let mut server = Server {
            installation: installation.clone(),
            home: tempfile::tempdir().unwrap(),
            port,
            process: None,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            token: String::new(),
        };
        server.furnish(house);
        server.launch();
        server.wait().await;
        let owner = json!({
            "client_id": server.client(), "name": "Owner", "username": "owner",
            "password": PASSWORD, "language": "en",
        });
        let made = server.post("/api/onboarding/users", &owner).await;
        server.token = server.lasting_token(&made["auth_code"]).await;
        server
    }

    fn furnish(&self, house: &Json) {
        let home = self.home.path();
        let configuration = format!(
            "homeassistant:\n  name: House\nhttp:\n  server_host: 127.0.0.1\n  server_port: {}\n  ip_ban_enabled: true\n  login_attempts_threshold: 2\nlogger:\n  default: warning\n",
            self.port
        );
        fs::write(home.join("configuration.yaml"), configuration).unwrap();
        fs::write(home.join("lab.json"), house.to_string()).unwrap();
        let to = home.join("custom_components/lab");
        fs::create_dir_all(&to).unwrap();
        let from = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/home_assistant/integration/lab");
        for file in fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }
    }

    /// Starts the process; it answers a while later.
    pub(crate) fn launch(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let home = self.home.path();
        let log = fs::File::options().create(true).append(true).open(home.join("log")).unwrap();
        let process = Command::new(&self.installation.python)
            // All that it needs was installed before; nothing is fetched now.
            .args(["-m", "homeassistant", "--skip-pip", "--config"])
            .arg(home)
            .env("HOME", home)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
    }

    /// Ends it in good order, as a restart does.
    pub(crate) async fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        let id = Pid::from_raw(process.id().try_into().unwrap()).unwrap();
        kill_process(id, Signal::TERM).unwrap();
        let until = Instant::now() + PATIENCE;
        while process.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                process.kill().unwrap();
                panic!("Home Assistant did not end");
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it answers.
    async fn wait(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Ok(answer) = self.http.get(format!("{}/api/onboarding", self.url())).send().await
                && answer.status().is_success()
            {
                return;
            }
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "Home Assistant ended with {ended:?}");
            assert!(Instant::now() < until, "Home Assistant did not start");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until this stands in its log.
    pub(crate) async fn logs(&self, text: &str) {
        let log = self.home.path().join("log");
        let until = Instant::now() + PATIENCE;
        while !fs::read_to_string(&log).unwrap().contains(text) {
            assert!(Instant::now() < until, "`{text}` is not in its log");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn client(&self) -> String {
        format!("{}/", self.url())
    }

    /// The administrator, sitting before it.
    pub(crate) async fn owner(&self) -> Person {
        Person::new(&self.url(), &self.token).await
    }

    /// The long-lived token of an ordinary user, who is made for it.
    pub(crate) async fn ordinary_token(&self) -> String {
        let mut owner = self.owner().await;
        let user = json!({ "name": "Guest", "group_ids": ["system-users"] });
        let user = owner.ask("config/auth/create", user).await["user"]["id"].take();
        let login = json!({ "user_id": user, "username": "guest", "password": PASSWORD });
        owner.ask("config/auth_provider/homeassistant/create", login).await;
        let begin = json!({
            "client_id": self.client(), "handler": ["homeassistant", null],
            "redirect_uri": self.client(),
        });
        let flow = self.post("/auth/login_flow", &begin).await["flow_id"].take();
        let login = json!({
            "client_id": self.client(), "username": "guest", "password": PASSWORD,
        });
        let flow = format!("/auth/login_flow/{}", flow.as_str().unwrap());
        let done = self.post(&flow, &login).await;
        self.lasting_token(&done["result"]).await
    }

    /// A long-lived token for a code that a login gave.
    async fn lasting_token(&self, code: &Json) -> String {
        let form = Serializer::new(String::new())
            .append_pair("client_id", &self.client())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", code.as_str().unwrap())
            .finish();
        let request = self.http.post(format!("{}/auth/token", self.url()));
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let short: Json = request.send().await.unwrap().json().await.unwrap();
        let mut user = Person::new(&self.url(), short["access_token"].as_str().unwrap()).await;
        let wish = json!({ "client_name": "netbox-agent", "lifespan": 365 });
        let token = user.ask("auth/long_lived_access_token", wish).await;
        token.as_str().unwrap().to_owned()
    }

    /// Adds a part of the house, as a person adds an integration.
    pub(crate) async fn add(&self, part: &str) {
        let begin = json!({ "handler": "lab", "show_advanced_options": false });
        let begun = self.post("/api/config/config_entries/flow", &begin).await;
        let step = format!(
            "/api/config/config_entries/flow/{}",
            begun["flow_id"].as_str().expect("a flow has an id")
        );
        let done = self.post(&step, &json!({ "part": part })).await;
        assert_eq!(done["type"], "create_entry", "{done}");
    }

    async fn post(&self, path: &str, body: &Json) -> Json {
        let mut request = self.http.post(format!("{}{path}", self.url())).json(body);
        if !self.token.is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {}", self.token));
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}
