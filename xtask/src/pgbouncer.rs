//! PgBouncer in transaction mode, as hosted PostgreSQL puts it in front of its databases.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rustix::process::Signal;

use crate::postgres::APP;
use crate::process::Process;
use crate::program::Program;
use crate::user::User;

/// The system's PgBouncer, if there is one.
pub(crate) fn find() -> Option<PathBuf> {
    // Debian puts it where only root's PATH looks.
    crate::tools::on_path("pgbouncer")
        .or_else(|| Some(PathBuf::from("/usr/sbin/pgbouncer")).filter(|path| path.exists()))
}

/// Starts it in front of every database of the server on `server_port`.
pub(crate) fn start(
    program: &Path,
    user: &User,
    folder: &Path,
    port: u16,
    server_port: u16,
    app_password: &str,
    log: &Path,
) -> Result<Process> {
    user.create_folder(folder)?;
    let users = folder.join("users.txt");
    user.write_secret(&users, &format!("\"{APP}\" \"{app_password}\"\n"))?;
    let settings = folder.join("pgbouncer.ini");
    // Few server connections for many clients: what only works on a connection of one's own fails here. Its console is the
    // tests', who have it drop a database's connections.
    user.write_secret(
        &settings,
        &format!(
            "[databases]
* = host=127.0.0.1 port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = 8
max_client_conn = 2000
admin_users = {APP}
server_idle_timeout = 5
server_login_retry = 1
autodb_idle_timeout = 5
",
            users = users.display()
        ),
    )?;
    Program::new("pgbouncer", vec![program.display().to_string()])
        .run_by(user)
        .arg(settings.display().to_string())
        .folder(Path::new("/"))
        .stopped_by(Signal::INT)
        .start(log)
}
