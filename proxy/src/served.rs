//! What the two listeners serve.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin};
use crate::client_side::AnswerBody;
use crate::config::Limits;
use crate::listen::{Peer, Service, Terms, Unreadable};
use crate::proxy::Proxy;
use crate::route;

/// What clients are served: each request under the configuration that is in force when its head has come.
#[derive(Clone)]
pub(crate) struct Clients(watch::Receiver<Arc<Proxy>>);

impl Clients {
    pub(crate) fn new(current: watch::Receiver<Arc<Proxy>>) -> Self {
        Self(current)
    }

    fn proxy(&self) -> Arc<Proxy> {
        Arc::clone(&self.0.borrow())
    }
}

impl Service for Clients {
    fn answer(self, peer: Peer, request: Request<Incoming>) -> impl Future<Output = Response<AnswerBody>> + Send {
        route::answer(self.proxy(), peer, request)
    }

    fn unreadable(&self, peer: Peer, why: Unreadable) {
        route::unreadable(&self.proxy(), peer, why);
    }

    fn terms(&self) -> Terms {
        let proxy = self.0.borrow();
        Terms {
            tls: proxy.tls.clone(),
            limits: proxy.config.limits,
            announced_by: proxy.config.announcing().to_vec(),
            stopping: proxy.stopping.clone(),
        }
    }

    async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // Nobody is left who could change it.
            std::future::pending::<()>().await;
        }
    }
}

/// What operators are served.
#[derive(Clone)]
pub(crate) struct Operators {
    admin: Arc<Admin>,
    sever: CancellationToken,
}

impl Operators {
    /// Served until `sever`.
    pub(crate) fn new(admin: Admin, sever: CancellationToken) -> Self {
        let admin = Arc::new(admin);
        Self { admin, sever }
    }
}

impl Service for Operators {
    fn answer(self, _: Peer, request: Request<Incoming>) -> impl Future<Output = Response<AnswerBody>> + Send {
        admin::answer(self.admin, request)
    }

    /// Nothing of what operators ask is on record.
    fn unreadable(&self, _: Peer, _: Unreadable) {}

    fn terms(&self) -> Terms {
        Terms {
            tls: None,
            limits: Limits::default(),
            announced_by: Vec::new(),
            stopping: self.sever.clone(),
        }
    }
}
