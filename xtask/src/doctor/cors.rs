//! Whose pages may call.

use shared::config::CorsOrigins;

use super::report::Report;
use super::settings::Settings;

pub(super) fn check(settings: &Settings, report: &mut Report) {
    let Some(config) = settings.config.as_ref().filter(|_| settings.are_good(&["CORS_ORIGINS"])) else { return };
    match &config.http.cors_origins {
        CorsOrigins::None => report.doubtful(
            "CORS_ORIGINS is not set: no browser may call from a page of another origin",
            "list your front end's origins, unless its own server or the same origin calls",
        ),
        CorsOrigins::Any => report.doubtful(
            "CORS_ORIGINS is *: a page of any origin may call, with a token that it has",
            "list your front end's origins for production",
        ),
        CorsOrigins::These(origins) => {
            let origins: Vec<String> = origins.iter().map(ToString::to_string).collect();
            let plain: Vec<&str> =
                origins.iter().filter(|origin| origin.starts_with("http:")).map(String::as_str).collect();
            if origins.iter().any(|origin| origin == "null") {
                report.doubtful(
                    "CORS_ORIGINS has null, which every sandboxed frame and every local file sends",
                    "leave it out, unless the application's own pages have no other origin",
                );
            }
            if plain.is_empty() {
                report.good(format!("pages of {} may call", origins.join(", ")));
            } else {
                report.doubtful(
                    format!("CORS_ORIGINS has origins without https: {}", plain.join(", ")),
                    "leave them out in production",
                );
            }
        }
    }
}
