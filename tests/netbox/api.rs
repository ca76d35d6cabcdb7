//! What is asked for and by whom: from a request to the answer that NetBox gives.

use super::access::{Act, Permissions, Token, identify};
use super::answer::{Answer, Body, Request};
use super::bulk::{self, Failed};
use super::changes::Asker;
use super::delete::delete;
use super::describe;
use super::filter;
use super::kinds::{KINDS, UNKEPT_PLACES};
use super::model::Kind;
use super::order;
use super::query::{Page, Query};
use super::records::{self, Table};
use super::refusal::Refusal;
use super::store::{Object, Store};
use super::version::Version;
use super::view::{Choose, View};
use super::write::{Manner, draft, save};
use serde_json::{Value, json};

/// What a path leads to.
enum Place {
    Root,
    Status,
    AuthenticationCheck,
    List(Kind),
    One(Kind, String),
    Rows(Table),
    Row(Table, String),
    Unkept,
    Nothing,
}

/// The answer to a request, with the headers that all answers have.
pub(crate) fn answer(store: &mut Store, tokens: &[Token], request: &Request) -> Answer {
    let id = store.requests.next();
    let answer = routed(store, tokens, request, &id);
    if answer.status == 301 {
        return answer;
    }
    let mut answer = answer.with("X-Request-ID", id);
    // Up to 4.2 NetBox takes only requests that say they carry JSON for those of its API.
    let told = store.version >= Version::V4_4 || speaks_json(request);
    if told {
        answer = answer.with("API-Version", store.version.api());
    } else if answer.status == 500 {
        answer.body = Answer::page(500, "Server Error", store.version).body;
    }
    if store.version >= Version::V4_7
        && answer.status == 400
        && let Body::Json(body) = &mut answer.body
    {
        rename_errors(body);
    }
    answer
}

fn speaks_json(request: &Request) -> bool {
    request.content_type.as_deref().is_some_and(|kind| kind.starts_with("application/json"))
}

/// Since 4.7 errors that are none of a field have another name.
fn rename_errors(body: &mut Value) {
    match body {
        Value::Object(map) => {
            if let Some(errors) = map.remove("non_field_errors") {
                map.insert("__all__".to_owned(), errors);
            }
            map.values_mut().for_each(rename_errors);
        }
        Value::Array(list) => list.iter_mut().for_each(rename_errors),
        _ => {}
    }
}

fn place(version: Version, path: &str) -> Place {
    let Some(path) = path.strip_prefix("/api/") else {
        return Place::Nothing;
    };
    match path {
        "" => return Place::Root,
        "status/" => return Place::Status,
        "authentication-check/" if version >= Version::V4_6 => return Place::AuthenticationCheck,
        _ => {}
    }
    let Some(trimmed) = path.strip_suffix('/') else {
        return Place::Nothing;
    };
    let kind = |place: &str| {
        KINDS
            .iter()
            .find(|def| !def.path.is_empty() && def.path == place && version >= def.since)
            .map(|def| def.kind)
    };
    if let Some(kind) = kind(trimmed) {
        return Place::List(kind);
    }
    if let Some(table) = Table::at(version, trimmed) {
        return Place::Rows(table);
    }
    if let Some((list, id)) = trimmed.rsplit_once('/') {
        if let Some(kind) = kind(list) {
            return Place::One(kind, id.to_owned());
        }
        if let Some(table) = Table::at(version, list) {
            return Place::Row(table, id.to_owned());
        }
    }
    if UNKEPT_PLACES.split(' ').any(|place| path.starts_with(place)) {
        Place::Unkept
    } else {
        Place::Nothing
    }
}

fn routed(store: &mut Store, tokens: &[Token], request: &Request, id: &str) -> Answer {
    let version = store.version;
    if !request.path.ends_with('/') {
        let slashed = format!("{}/", request.path);
        let follows = version < Version::V4_6 || matches!(request.method.as_str(), "GET" | "HEAD");
        if follows && !matches!(place(version, &slashed), Place::Nothing) {
            let query = if request.query.is_empty() {
                String::new()
            } else {
                format!("?{}", request.query)
            };
            return Answer::page(301, "Moved", version)
                .with("Location", format!("{slashed}{query}"));
        }
    }
    let place = place(version, &request.path);
    if let Place::Nothing = place {
        return Answer::page(404, "Page Not Found", version);
    }
    let token = match identify(version, tokens, request.authorization.as_deref()) {
        Ok(token) => token,
        Err(what) => return Answer::detail(403, what),
    };
    let base = format!("http://{}", request.host);
    let query = Query::parse(&request.query);
    let asked = Asked {
        request,
        token,
        tokens,
        base: &base,
        query: &query,
        omits: version >= Version::V4_6,
        asker: Asker { user: token.user.clone(), request: id.to_owned() },
    };
    let reads = matches!(request.method.as_str(), "GET" | "HEAD");
    match place {
        Place::List(kind) => asked.list(store, kind),
        Place::One(kind, id) => asked.one(store, kind, &id),
        Place::Unkept => Answer::detail(
            501,
            format!("The stand-in does not keep `{}`; NetBox does.", request.path),
        ),
        _ if !reads => Answer::detail(405, format!("Method \"{}\" not allowed.", request.method)),
        Place::Root => Answer::json(200, json!({"status": format!("{base}/api/status/")})),
        Place::Status => Answer::json(200, status(version)),
        Place::AuthenticationCheck => {
            let view = View { store, base: &base };
            Answer::json(200, records::user(&view, tokens, &token.user))
        }
        Place::Rows(table) => asked.rows(store, table),
        Place::Row(table, id) => asked.row(store, table, &id),
        Place::Nothing => Answer::page(404, "Page Not Found", version),
    }
}

fn status(version: Version) -> Value {
    let mut status = json!({
        "django-version": "5.2.9",
        "netbox-version": version.release(),
        "plugins": {},
        "python-version": "3.12.1",
        "rq-workers-running": 0,
    });
    if version < Version::V4_4 {
        status["installed-apps"] = json!({});
    } else {
        status["installed_apps"] = json!({});
        status["hostname"] = "standin".into();
        status["netbox-full-version"] = version.full_release().into();
    }
    status
}

/// A request with who asks and what for.
struct Asked<'a> {
    request: &'a Request,
    token: &'a Token,
    tokens: &'a [Token],
    base: &'a str,
    query: &'a Query,
    /// Whether the version knows `omit`.
    omits: bool,
    asker: Asker,
}

impl Asked<'_> {
    /// Whether the token allows what the method does.
    fn allowed(&self, label: &str) -> Result<(), Refusal> {
        let act = match self.request.method.as_str() {
            "POST" => Act::Add,
            "PUT" | "PATCH" => Act::Change,
            "DELETE" => Act::Delete,
            _ => Act::View,
        };
        let write = act != Act::View;
        let blind = write && self.token.permissions == Permissions::Blind;
        if (write && !self.token.write) || !self.token.permissions.allow(label, act) || blind {
            return Err(Refusal::Forbidden);
        }
        Ok(())
    }

    /// The fields that the request is about.
    fn choose(&self) -> Choose {
        let names = |text: &str| text.split(',').map(str::to_owned).collect();
        if let Some(fields) = self.query.last("fields") {
            return Choose::Only(names(fields));
        }
        if let (true, Some(omitted)) = (self.omits, self.query.last("omit")) {
            return Choose::Omit(names(omitted));
        }
        let brief = self.request.method == "GET" && self.query.last("brief").is_some();
        if brief { Choose::Brief } else { Choose::All }
    }

    /// The body as JSON.
    fn body(&self) -> Result<Value, Answer> {
        let kind = self.request.content_type.as_deref().unwrap_or("");
        if self.request.body.is_empty() {
            return Ok(json!({}));
        }
        if !speaks_json(self.request) {
            return Err(Answer::detail(
                415,
                format!("Unsupported media type \"{kind}\" in request."),
            ));
        }
        serde_json::from_slice(&self.request.body)
            .map_err(|error| Answer::detail(400, format!("JSON parse error - {error}")))
    }

    fn refused(&self, store: &Store, refusal: &Refusal) -> Answer {
        let answer = Answer::json(refusal.status(), refusal.body(store.version));
        match refusal.etag() {
            Some(etag) => answer.with("ETag", etag),
            None => answer,
        }
    }

    /// The ETags that the client insists on.
    fn expected(&self) -> Vec<String> {
        let given = self.request.if_match.as_deref().filter(|text| *text != "*");
        let each = given.into_iter().flat_map(|text| text.split(','));
        each.map(|etag| etag.trim().to_owned()).collect()
    }

    fn list(&self, store: &mut Store, kind: Kind) -> Answer {
        if self.request.method == "OPTIONS" {
            return describe::options(store.version, kind, self.token, false);
        }
        if let Err(refusal) = self.allowed(kind.def().label) {
            return self.refused(store, &refusal);
        }
        let method = self.request.method.as_str();
        if matches!(method, "GET" | "HEAD") {
            return self.page(store, kind).unwrap_or_else(|refusal| self.refused(store, &refusal));
        }
        if !matches!(method, "POST" | "PUT" | "PATCH" | "DELETE") {
            return Answer::detail(405, format!("Method \"{method}\" not allowed."));
        }
        let body = match self.body() {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        let background =
            store.version >= Version::V4_7 && self.query.last("background") == Some("true");
        if background && body.is_array() {
            return self.refused(store, &Refusal::Unkept("background jobs".to_owned()));
        }
        let point = store.savepoint();
        let done = match (method, &body) {
            ("POST", Value::Array(list)) => {
                let ids = bulk::create(store, &self.asker, kind, list, &self.choose());
                ids.map(|ids| self.objects(store, kind, 201, &ids))
            }
            ("POST", data) => return self.create(store, kind, data),
            ("DELETE", body) => bulk::destroy(store, &self.asker, kind, body, &self.expected())
                .map(|()| Answer::empty(204)),
            (method, body) => {
                let choose = self.choose();
                let manner = Manner { partial: method == "PATCH", choose: &choose };
                let ids = bulk::update(store, &self.asker, kind, body, manner, &self.expected());
                ids.map(|ids| self.objects(store, kind, 200, &ids))
            }
        };
        done.unwrap_or_else(|Failed { status, body, etag }| {
            store.roll_back(point);
            let answer = Answer::json(status, body);
            match etag {
                Some(etag) => answer.with("ETag", etag),
                None => answer,
            }
        })
    }

    /// A page of a list.
    fn page(&self, store: &Store, kind: Kind) -> Result<Answer, Refusal> {
        let view = View { store, base: self.base };
        let mut objects = filter::select(&view, kind, self.query)?;
        if self.token.permissions == Permissions::Blind {
            objects.clear();
        }
        let page = match self.query.page(store.version) {
            Ok(page) => page,
            Err(what) => return Ok(Answer::json(400, json!([what]))),
        };
        let choose = self.choose();
        if page.start.is_none() {
            order::sort(&view, kind, &mut objects, self.query.last("ordering"));
        }
        let total = objects.len();
        let shown = paged(objects, page, |object| object.id);
        let last = shown.last().map(|object| object.id);
        let results: Vec<Value> = shown.iter().map(|object| view.full(object, &choose)).collect();
        Ok(self.list_of(page, total, last, results))
    }

    fn list_of(&self, page: Page, total: usize, last: Option<u64>, results: Vec<Value>) -> Answer {
        let address = format!("{}{}", self.base, self.request.path);
        let link = |set: &[(&str, usize)], drop: &[&str]| {
            Value::from(self.query.link(&address, set, drop))
        };
        let (count, next, previous) = match (page.start, last) {
            (Some(_), Some(last)) if results.len() == page.limit => {
                let next = usize::try_from(last).unwrap_or(usize::MAX) + 1;
                (
                    Value::Null,
                    link(&[("limit", page.limit), ("start", next)], &["offset"]),
                    Value::Null,
                )
            }
            (Some(_), _) => (Value::Null, Value::Null, Value::Null),
            (None, _) => {
                let next = page.offset + page.limit;
                let next = if next < total {
                    link(&[("limit", page.limit), ("offset", next)], &[])
                } else {
                    Value::Null
                };
                let previous = match page.offset {
                    0 => Value::Null,
                    at if at <= page.limit => link(&[("limit", page.limit)], &["offset"]),
                    at => link(&[("limit", page.limit), ("offset", at - page.limit)], &[]),
                };
                (total.into(), next, previous)
            }
        };
        Answer::json(
            200,
            json!({"count": count, "next": next, "previous": previous, "results": results}),
        )
    }

    /// Objects as the answer to a list of writes has them.
    fn objects(&self, store: &Store, kind: Kind, status: u16, ids: &[u64]) -> Answer {
        let view = View { store, base: self.base };
        let choose = self.choose();
        let objects = ids.iter().filter_map(|id| store.get(kind, *id));
        Answer::json(status, objects.map(|object| view.full(object, &choose)).collect())
    }

    fn create(&self, store: &mut Store, kind: Kind, data: &Value) -> Answer {
        let choose = self.choose();
        let manner = Manner { partial: false, choose: &choose };
        let point = store.savepoint();
        let made = draft(store, kind, None, data, manner)
            .and_then(|draft| save(store, &self.asker, draft));
        match made {
            Ok(id) => {
                let address = View { store, base: self.base }.url(kind, id);
                self.object(store, kind, id, 201).with("Location", address)
            }
            Err(refusal) => {
                store.roll_back(point);
                self.refused(store, &refusal)
            }
        }
    }

    /// One object as an answer.
    fn object(&self, store: &Store, kind: Kind, id: u64, status: u16) -> Answer {
        let Some(object) = store.get(kind, id) else {
            return self.refused(store, &Refusal::Missing(kind));
        };
        let view = View { store, base: self.base };
        let answer = Answer::json(status, view.full(object, &self.choose()));
        if store.version >= Version::V4_6 {
            answer.with("ETag", object.updated.etag())
        } else {
            answer
        }
    }

    fn one(&self, store: &mut Store, kind: Kind, id: &str) -> Answer {
        let method = self.request.method.as_str();
        if method == "OPTIONS" {
            return describe::options(store.version, kind, self.token, true);
        }
        if !matches!(method, "GET" | "HEAD" | "PUT" | "PATCH" | "DELETE") {
            return Answer::detail(405, format!("Method \"{method}\" not allowed."));
        }
        if let Err(refusal) = self.allowed(kind.def().label) {
            return self.refused(store, &refusal);
        }
        let Ok(id) = id.parse::<u64>() else {
            return Answer::detail(404, "Not found.");
        };
        let sees = self.token.permissions != Permissions::Blind;
        let Some(object) = store.get(kind, id).filter(|_| sees).cloned() else {
            return self.refused(store, &Refusal::Missing(kind));
        };
        if matches!(method, "GET" | "HEAD") {
            return self.object(store, kind, id, 200);
        }
        if let Err(refusal) = bulk::fresh(store, &object, &self.expected()) {
            return self.refused(store, &refusal);
        }
        let data = match self.body() {
            Ok(data) => data,
            Err(answer) => return answer,
        };
        let point = store.savepoint();
        let done = if method == "DELETE" {
            let message = bulk::message_of(store, &data);
            delete(store, &self.asker, kind, id, &message).map(|()| Answer::empty(204))
        } else {
            self.change(store, &object, &data).map(|id| self.object(store, kind, id, 200))
        };
        done.unwrap_or_else(|refusal| {
            store.roll_back(point);
            self.refused(store, &refusal)
        })
    }

    fn change(&self, store: &mut Store, object: &Object, data: &Value) -> Result<u64, Refusal> {
        let choose = self.choose();
        let manner = Manner { partial: self.request.method == "PATCH", choose: &choose };
        bulk::change(store, &self.asker, object.kind, object.id, data, manner, &[])
    }

    fn rows(&self, store: &Store, table: Table) -> Answer {
        if !self.token.permissions.allow(table.label(), Act::View) {
            return self.refused(store, &Refusal::Forbidden);
        }
        let view = View { store, base: self.base };
        let rows = match records::rows(&view, table, self.tokens, self.query) {
            Ok(rows) => rows,
            Err(refusal) => return self.refused(store, &refusal),
        };
        let page = match self.query.page(store.version) {
            Ok(page) => page,
            Err(what) => return Answer::json(400, json!([what])),
        };
        let id = |row: &Value| row["id"].as_u64().unwrap_or(0);
        let total = rows.len();
        let shown = paged(rows, page, id);
        let last = shown.last().map(id);
        let choose = self.choose();
        let results = shown.into_iter().map(|row| chosen(row, &choose)).collect();
        self.list_of(page, total, last, results)
    }

    fn row(&self, store: &Store, table: Table, id: &str) -> Answer {
        if !self.token.permissions.allow(table.label(), Act::View) {
            return self.refused(store, &Refusal::Forbidden);
        }
        let view = View { store, base: self.base };
        let rows = records::rows(&view, table, self.tokens, &Query::default()).unwrap_or_default();
        let wanted = id.parse::<u64>().ok();
        match rows.into_iter().find(|row| row["id"].as_u64() == wanted && wanted.is_some()) {
            Some(row) => Answer::json(200, chosen(row, &self.choose())),
            None => {
                let class = table.class();
                Answer::detail(404, format!("No {class} matches the given query."))
            }
        }
    }
}

/// The part of a list that is on a page.
fn paged<T>(mut list: Vec<T>, page: Page, id: impl Fn(&T) -> u64) -> Vec<T> {
    match page.start {
        Some(start) => {
            list.retain(|item| id(item) >= start);
            list.sort_by_key(id);
            list.truncate(page.limit);
            list
        }
        None => list.into_iter().skip(page.offset).take(page.limit).collect(),
    }
}

/// A row with the fields that are asked for.
fn chosen(row: Value, choose: &Choose) -> Value {
    let (Value::Object(row), keeps) = (row, |name: &str| match choose {
        Choose::Only(names) => names.iter().any(|chosen| chosen == name),
        Choose::Omit(names) => !names.iter().any(|omitted| omitted == name),
        _ => true,
    }) else {
        return Value::Null;
    };
    Value::Object(row.into_iter().filter(|(name, _)| keeps(name)).collect())
}
