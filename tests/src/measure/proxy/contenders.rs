//! What may stand between a client and the target.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tapedeck_dev::ports;
use tapedeck_dev::process::{Child, Launch};
use tapedeck_dev::services::{Issuer, Proxy, ProxyOptions, Target};
use tokio::net::TcpStream;

use super::peer::{self, Peer};
use super::{BARE, DIRECT, MODES, NGINX, PEER, PREFIX, SLACK};
use crate::measure::answers::Answer;
use crate::measure::calls::create_topic;
use crate::measure::load::{SESSION, TOKEN, TOOL_NAME};
use crate::measure::parts::{Parts, note};
use crate::measure::target::{PART, TICKS, TOOL, WHOLE};
use crate::measure::usage::{family, processor_time};

/// What the access token is for: all targets alike.
const AUDIENCE: &str = "https://measure.example/mcp";

/// The target, and all that may stand before it, running. They end when this is dropped.
pub(super) struct Stage {
    pub(super) contenders: Vec<Contender>,
    pub(super) proxy: Proxy,
    _target: Child,
    _nginx: Option<Child>,
    _peer: Option<Child>,
}

/// One way to the target.
pub(super) struct Contender {
    pub(super) name: &'static str,
    way: Way,
    /// Whose processor time it costs.
    processes: Vec<u32>,
}

enum Way {
    /// The target's own paths, here.
    Plain(String),
    /// Targets of ours, named by mode and place; and the token for them.
    Ours { url: String, token: String },
    /// One endpoint, tools named by place, and the session in which they are called.
    Peer { url: String, session: String },
}

/// Where to send a call.
#[derive(Debug)]
pub(super) struct Aim {
    pub(super) url: String,
    /// What is no argument, by its variable.
    variables: Vec<(&'static str, String)>,
}

impl Aim {
    /// Hands over what is no argument.
    pub(super) fn environment(&self, launch: Launch) -> Launch {
        let variables = self.variables.iter();
        variables.fold(launch, |launch, (name, value)| launch.env(*name, value))
    }
}

impl Contender {
    pub(super) fn aim(&self, place: &str) -> Aim {
        match &self.way {
            Way::Plain(base) => Aim {
                url: format!("{base}/{place}"),
                variables: Vec::new(),
            },
            Way::Ours { url, token } => Aim {
                url: format!("{url}/{}/mcp", named(self.name, place)),
                variables: vec![(TOKEN, token.clone())],
            },
            Way::Peer { url, session } => Aim {
                url: url.clone(),
                variables: vec![(SESSION, session.clone()), (TOOL_NAME, format!("{place}/{TOOL}"))],
            },
        }
    }

    pub(super) fn is_ours(&self) -> bool {
        matches!(self.way, Way::Ours { .. })
    }

    /// Whether an answer's events come as the target sends them, rather than as one message at the end.
    pub(super) fn passes_events(&self) -> bool {
        !matches!(self.way, Way::Peer { .. })
    }

    /// Processor time that it has used so far.
    pub(super) fn used(&self) -> anyhow::Result<Duration> {
        self.processes.iter().map(|process| processor_time(*process)).sum()
    }
}

impl Stage {
    /// Starts target and contenders. What is not installed is left out, and said so.
    pub(super) async fn set(parts: &Parts) -> anyhow::Result<Self> {
        let kafka = parts.kafka(PREFIX);
        // It makes the topics, and must not compete for the processor afterwards.
        let consumer = parts.consumer(&kafka, &parts.database("measure_proxy"), 4).await?;
        consumer.service().stop().await;
        create_topic(&kafka.brokers, BARE).await?;

        let address = format!("127.0.0.1:{}", ports::free()?);
        let (target, _) = parts.ourselves("target")?;
        let target = target.args(["target", &address]).start()?;
        listens(&target, &address).await?;
        let nginx = nginx(parts, &address).await?;
        let peer = peer::start(parts, &address).await?;
        let proxy = ours(parts, &format!("http://{address}")).await?;
        let machine = parts.identity.machines().first().context("there is a machine")?;
        let token = parts.identity.machine_token(machine, AUDIENCE).await?;

        let mut contenders = vec![Contender {
            name: DIRECT,
            way: Way::Plain(format!("http://{address}")),
            processes: Vec::new(),
        }];
        if let Some((child, base)) = &nginx {
            contenders.push(Contender {
                name: NGINX,
                way: Way::Plain(base.clone()),
                processes: family(child.id())?,
            });
        }
        let peer = peer.map(|Peer { child, url, session }| {
            contenders.push(Contender {
                name: PEER,
                way: Way::Peer { url, session },
                processes: vec![child.id()],
            });
            child
        });
        for mode in MODES {
            contenders.push(Contender {
                name: mode,
                way: Way::Ours {
                    url: proxy.url().to_owned(),
                    token: token.as_str().to_owned(),
                },
                processes: vec![proxy.service().child().id()],
            });
        }
        Ok(Self {
            contenders,
            proxy,
            _target: target,
            _nginx: nginx.map(|(child, _)| child),
            _peer: peer,
        })
    }

    pub(super) fn contender(&self, name: &str) -> Option<&Contender> {
        self.contenders.iter().find(|one| one.name == name)
    }
}

/// A target of ours: names have no underscores.
fn named(mode: &str, place: &str) -> String {
    format!("{}-{place}", mode.replace('_', "-"))
}

async fn ours(parts: &Parts, target: &str) -> anyhow::Result<Proxy> {
    let places = Answer::ALL.map(Answer::place).into_iter();
    let places: Vec<String> = places.chain([TICKS, WHOLE, PART].map(str::to_owned)).collect();
    let all = || {
        MODES
            .iter()
            .flat_map(|mode| places.iter().map(move |place| (*mode, place)))
    };
    let described = all().map(|(mode, place)| {
        json!({
            "name": named(mode, place),
            "url": format!("{target}/{place}"),
            "allow_groups": ["*"],
            "record": mode,
            "allow_single_copy": true,
        })
    });
    let (spool, _) = parts.room("spool")?;
    let options = ProxyOptions {
        port: None,
        admin_port: None,
        kafka: parts.kafka(PREFIX),
        issuers: vec![Issuer {
            url: parts.identity.issuer().to_owned(),
            audiences: vec![AUDIENCE.to_owned()],
            groups_claim: None,
        }],
        targets: Vec::<Target>::new(),
        tag_key: None,
        more: json!({
            "target": described.collect::<Vec<Value>>(),
            "spool": { "dir": spool, "max_bytes": "1 GiB" },
        }),
        environment: Vec::new(),
    };
    Ok(Proxy::start(&options, parts.site()).await?)
}

/// nginx as a plain reverse proxy, where it is installed; and its URL. It keeps its connections, as ours does, and does
/// not collect answers before it passes them on, for events could not wait for that.
async fn nginx(parts: &Parts, target: &str) -> anyhow::Result<Option<(Child, String)>> {
    let (room, log) = parts.room(NGINX)?;
    let address = format!("127.0.0.1:{}", ports::free()?);
    let config = room.join("nginx.conf");
    fs::write(
        &config,
        format!(
            "daemon off;
worker_processes auto;
error_log stderr warn;
pid nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_requests 1000000000;
    upstream target {{
        server {target};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {address};
        location / {{
            proxy_pass http://target;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
        }}
    }}
}}
"
        ),
    )?;
    let launch = Launch::new(NGINX, NGINX, log)
        .arg("-p")
        .arg(&room)
        .arg("-c")
        .arg(&config)
        .args(["-e", "stderr"]);
    let child = match launch.start() {
        Ok(child) => child,
        Err(error) => {
            note(&format!(
                "nginx is left out, and so are the goals that it sets: {error}. On Debian: apt-get install nginx-light"
            ));
            return Ok(None);
        }
    };
    listens(&child, &address).await?;
    Ok(Some((child, format!("http://{address}"))))
}

/// Waits until it accepts connections.
pub(super) async fn listens(child: &Child, address: &str) -> anyhow::Result<()> {
    let connect = async || {
        TcpStream::connect(address)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    };
    Ok(child.ready(SLACK, connect).await?)
}
