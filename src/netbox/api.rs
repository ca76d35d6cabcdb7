//! Requests to NetBox's REST API: where they go and what they carry. Knows no kind
//! of object.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value as Json;
use url::Url;

use super::Connection;
use super::error::{NetBoxError, detail};
use super::version::Version;
use crate::http::{Client, HttpError, Method, Request, Response, header, place};

/// A NetBox that answers.
#[derive(Debug, Clone)]
pub(super) struct Api {
    client: Client,
    base: Url,
    authorization: SecretString,
    pub(super) version: Version,
}

/// Longer queries are sent as several requests: gunicorn takes a request line of at
/// most 4,094 bytes.
pub(super) const LONGEST_QUERY: usize = 3_000;

impl Api {
    /// Asks for the version, which needs a token that is accepted.
    pub(super) async fn connect(config: &Connection) -> Result<Self, NetBoxError> {
        let base = config.url.join("api/").map_err(|error| NetBoxError::Stranger {
            place: place(&config.url),
            reason: error.to_string(),
        })?;
        let mut api = Api {
            client: Client::new(config.http.clone())?,
            base,
            authorization: authorization(&config.token),
            version: Version::OLDEST,
        };
        api.ask_version().await?;
        if api.version < Version::OLDEST {
            return Err(NetBoxError::TooOld(api.version));
        }
        Ok(api)
    }

    async fn ask_version(&mut self) -> Result<(), NetBoxError> {
        let stranger = |reason: &str| NetBoxError::Stranger {
            place: place(&self.url("status")),
            reason: reason.to_owned(),
        };
        let answer = match self.fetch("status", &[]).await {
            Ok(answer) => answer,
            Err(HttpError::Status { code: 404, .. }) => {
                return Err(stranger("it answers 404 there"));
            }
            Err(error) => return Err(refused(error, self.token_version())),
        };
        let status: Json = answer.json().map_err(|_| stranger("its answer is not JSON"))?;
        let version = status.get("netbox-version").and_then(Json::as_str);
        let version = version.ok_or_else(|| stranger("its status tells no version"))?;
        self.version = version
            .parse()
            .map_err(|error: super::version::NotAVersion| stranger(&error.to_string()))?;
        Ok(())
    }

    /// How many requests were sent.
    pub(super) fn sent(&self) -> u64 {
        self.client.sent()
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}/", self.base.path()));
        url
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Request {
        self.client
            .request(method, self.url(path))
            .secret_header(header::AUTHORIZATION, &self.authorization)
            .header(header::ACCEPT, "application/json")
            // Up to 4.2 this is how NetBox tells a program from a person, even on GET.
            .header(header::CONTENT_TYPE, "application/json")
            .query(query.iter().copied())
    }

    /// Reads, and leaves the answer as it came.
    pub(super) async fn fetch(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Response, HttpError> {
        self.request(Method::GET, path, query).send().await
    }

    /// Asks what may be done at a place.
    pub(super) async fn describe(&self, path: &str) -> Result<Json, HttpError> {
        self.request(Method::OPTIONS, path, &[]).send().await?.json()
    }

    /// The version of the token.
    pub(super) fn token_version(&self) -> u8 {
        if self.authorization.expose_secret().starts_with("Bearer ") { 2 } else { 1 }
    }

    /// Writes a list of objects with one request, which is sent once.
    pub(super) async fn write(
        &self,
        method: Method,
        path: &str,
        fields: Option<&str>,
        body: &[Json],
        if_match: Option<&str>,
    ) -> Result<Response, HttpError> {
        let query: Vec<(&str, &str)> =
            fields.map(|fields| ("fields", fields)).into_iter().collect();
        let mut request = self.request(method, path, &query).json(body);
        if let Some(states) = if_match {
            request = request.header(header::IF_MATCH, states);
        }
        request.apart().send().await
    }
}

/// At `/api/status/` nothing but the token can be at fault.
fn refused(error: HttpError, token_version: u8) -> NetBoxError {
    match &error {
        HttpError::Status { place, code: 401 | 403, body } => match detail(body) {
            // NetBox did not even see that there is a token.
            Some(said) if token_version == 2 && said.contains("not provided") => {
                let said = "tokens that begin with nbt_ need NetBox 4.5 or newer".to_owned();
                NetBoxError::Token { place: place.clone(), said }
            }
            Some(said) => NetBoxError::Token { place: place.clone(), said },
            None => NetBoxError::Http(error),
        },
        _ => NetBoxError::Http(error),
    }
}

/// Tokens of the second version tell by their beginning what they are.
fn authorization(token: &SecretString) -> SecretString {
    let token = token.expose_secret().trim();
    match token.starts_with("nbt_") {
        true => format!("Bearer {token}").into(),
        false => format!("Token {token}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_by_its_look_how_it_is_sent() {
        let sent = |token: &str| authorization(&token.into()).expose_secret().to_owned();
        assert_eq!(sent("0123abcd\n"), "Token 0123abcd");
        assert_eq!(sent("nbt_key.secret"), "Bearer nbt_key.secret");
    }
}
