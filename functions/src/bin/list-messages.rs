//! `GET /v1/conversations/{id}/messages`
fn main() -> std::process::ExitCode {
    functions::serve(functions::messages::list::ENDPOINT, functions::messages::list::route())
}
