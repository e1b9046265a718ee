/*
 * pgam-attempt: makes connection attempts with libpq, each in a process of its own.
 *
 * One server process per container reads requests on standard input and forks per attempt, without exec: libraries are
 * loaded and relocated once, while everything that libpq, OpenSSL and libkrb5 keep per process starts afresh in each
 * attempt. Run it with LD_BIND_NOW=1, or every child resolves its symbols again.
 *
 * Build, against libpq 13 to 18:
 *     cc -O2 -Wall -Wextra -Werror -I$(pg_config --includedir) attempt.c -o pgam-attempt -lpq -ldl
 *
 * Request: four bytes of length (big-endian), then that many bytes of NUL-terminated strings, in this order:
 *     ID            any text without white space, at most 63 bytes; returned in the answer and in the result
 *     UID           operating-system user, "0" to stay what the server is
 *     DIR           the attempt's private directory; must exist and, with UID, belong to that user
 *     TIMEOUT       seconds until the attempt is killed by SIGALRM
 *     QUERY         asked once when connected
 *     NENV          number of environment strings, then as many strings NAME=VALUE: the whole environment
 *     NOPT          number of connection options, then as many pairs of strings KEYWORD, VALUE
 *
 * Answer, on standard output, a line each, in any order; the first line is "ready LIBPQVERSION":
 *     ID exit STATUS          the attempt's process ended; with STATUS 0 the file DIR/result is there and whole
 *     ID signal NUMBER        it was killed: 14 is the timeout, anything else a crash of the client
 *     ID error TEXT           no process was made
 * A request that cannot be parsed ends the server with status 2 and the reason on standard error: what follows it on
 * the stream could not be trusted.
 *
 * DIR/result holds NUL-terminated strings in pairs NAME, VALUE:
 *     id ID, connected 0|1, message TEXT (PQerrorMessage, whole), ssl 0|1, gss 0|1, connects N, auth "REQUEST ...",
 *     column:NAME VALUE for each non-null column of the query's first row, query-error TEXT, and last: end "".
 * DIR/stderr holds what the attempt's process wrote to standard output and error.
 *
 * The authentication requests are read where libpq itself receives them: PQtrace shows them in libpq 13 and 18 only. This
 * program defines connect, send, recv, SSL_read and gss_unwrap, which the dynamic linker therefore gives to libpq; each
 * calls the real one and looks at the bytes that passed. Source of the message format: PostgreSQL manual, "Message
 * Formats".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libpq-fe.h>

#define MAX_REQUEST (1u << 20)
#define MAX_ID 64

static void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("pgam-attempt: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	_exit(2);
}

/* ---- the witness inside libpq: which authentication requests arrive ---- */

enum mode { NEGOTIATING, CLEAR, SEALED };

static struct {
	int fd;                /* libpq's connection, -1 before the first */
	int connects;          /* connections opened to the server or relay */
	unsigned port;         /* where libpq was told to connect to, last of several hosts; 0: unix socket only */
	enum mode mode;
	int finished;          /* ReadyForQuery has come, or bytes that are no messages */
	unsigned char head[9]; /* type, length, first four bytes of the body */
	size_t have;           /* bytes of head */
	size_t skip;           /* bytes of the body still to come */
	char auth[2048];
} witness = {.fd = -1};

static int (*real_connect)(int, const struct sockaddr *, socklen_t);
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_recv)(int, void *, size_t, int);
static int (*real_SSL_read)(void *, void *, int);

struct gss_buffer {
	size_t length;
	void *value;
};
static uint32_t (*real_gss_unwrap)(uint32_t *, void *, struct gss_buffer *, struct gss_buffer *, int *, uint32_t *);

/* dlsym returns an object pointer where a function pointer is wanted; POSIX says to copy it so. */
static void find(const char *name, void *function)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	memcpy(function, &symbol, sizeof symbol);
}

static void find_real_functions(void)
{
	find("connect", &real_connect);
	find("send", &real_send);
	find("recv", &real_recv);
	find("SSL_read", &real_SSL_read);     /* absent where libpq was built without TLS: then nobody calls ours */
	find("gss_unwrap", &real_gss_unwrap); /* the same */
	if (real_connect == NULL || real_send == NULL || real_recv == NULL)
		die("connect, send or recv not found");
}

static uint32_t big_endian(const unsigned char *p)
{
	return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

static void note_auth_request(uint32_t code)
{
	static const char *const names[] = {"ok", NULL, "krb5", "password", NULL, "md5", NULL, "gss", "gss-continue", "sspi", "sasl", "sasl-continue", "sasl-final"};
	size_t used = strlen(witness.auth);
	const char *separator = used > 0 ? " " : "";

	if (code < sizeof names / sizeof *names && names[code] != NULL)
		snprintf(witness.auth + used, sizeof witness.auth - used, "%s%s", separator, names[code]);
	else
		snprintf(witness.auth + used, sizeof witness.auth - used, "%s%u", separator, (unsigned) code);
}

/* Reads the server's messages up to the first ReadyForQuery. */
static void look(const unsigned char *p, size_t length)
{
	while (length > 0 && !witness.finished) {
		size_t step;

		if (witness.skip > 0) {
			step = length < witness.skip ? length : witness.skip;
			witness.skip -= step;
			p += step;
			length -= step;
			continue;
		}
		witness.head[witness.have++] = *p++;
		length--;
		if (witness.have < 5)
			continue;
		uint32_t size = big_endian(witness.head + 1);
		if (size < 4 || witness.head[0] == 'Z') {
			witness.finished = 1;
		} else if (witness.head[0] != 'R' || size < 8) {
			witness.skip = size - 4;
			witness.have = 0;
		} else if (witness.have == 9) {
			note_auth_request(big_endian(witness.head + 5));
			witness.skip = size - 8;
			witness.have = 0;
		}
	}
}

static void begin_messages(enum mode mode)
{
	witness.mode = mode;
	witness.finished = 0;
	witness.have = witness.skip = 0;
}

/* Connections to the KDC and to name services are not libpq's own. */
static int is_server(const struct sockaddr *address)
{
	switch (address->sa_family) {
	case AF_UNIX:
		return strstr(((const struct sockaddr_un *) (const void *) address)->sun_path, ".s.PGSQL.") != NULL;
	case AF_INET:
		return witness.port != 0 && ntohs(((const struct sockaddr_in *) (const void *) address)->sin_port) == witness.port;
	case AF_INET6:
		return witness.port != 0 && ntohs(((const struct sockaddr_in6 *) (const void *) address)->sin6_port) == witness.port;
	}
	return 0;
}

int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t length)
{
	int result = real_connect(fd, address.__sockaddr__, length);

	if (is_server(address.__sockaddr__) && (result == 0 || errno == EINPROGRESS)) {
		witness.fd = fd;
		witness.connects++;
		begin_messages(NEGOTIATING);
	}
	return result;
}

/* A startup packet in the clear: from now on the server answers with messages in the clear. */
ssize_t send(int fd, const void *data, size_t length, int flags)
{
	if (fd == witness.fd && witness.mode == NEGOTIATING && length > 8 && big_endian((const unsigned char *) data + 4) >> 16 == 3 &&
	    big_endian(data) == length)
		begin_messages(CLEAR);
	return real_send(fd, data, length, flags);
}

ssize_t recv(int fd, void *data, size_t length, int flags)
{
	ssize_t result = real_recv(fd, data, length, flags);

	if (fd == witness.fd && witness.mode == CLEAR && result > 0 && (flags & MSG_PEEK) == 0)
		look(data, (size_t) result);
	return result;
}

int SSL_read(void *ssl, void *data, int length);

int SSL_read(void *ssl, void *data, int length)
{
	int result = real_SSL_read(ssl, data, length);

	if (result > 0) {
		if (witness.mode == NEGOTIATING)
			begin_messages(SEALED);
		look(data, (size_t) result);
	}
	return result;
}

uint32_t gss_unwrap(uint32_t *minor, void *context, struct gss_buffer *in, struct gss_buffer *out, int *confidential, uint32_t *qop);

uint32_t gss_unwrap(uint32_t *minor, void *context, struct gss_buffer *in, struct gss_buffer *out, int *confidential, uint32_t *qop)
{
	uint32_t result = real_gss_unwrap(minor, context, in, out, confidential, qop);

	if ((result & 0xffff0000u) == 0 && out->length > 0) {
		if (witness.mode == NEGOTIATING)
			begin_messages(SEALED);
		look(out->value, out->length);
	}
	return result;
}

/* ---- the attempt ---- */

struct request {
	char *id, *dir, *query;
	long uid, timeout;
	size_t nenv, nopt;
	char **env;                 /* nenv and a NULL */
	const char **keywords, **values; /* nopt and a NULL each */
};

struct text {
	char *data;
	size_t length, room;
};

static void add(struct text *t, const char *name, const char *value)
{
	size_t n = strlen(name) + 1, v = strlen(value) + 1;

	if (t->length + n + v > t->room) {
		t->room = 2 * (t->length + n + v) + 4096;
		t->data = realloc(t->data, t->room);
		if (t->data == NULL)
			die("out of memory");
	}
	memcpy(t->data + t->length, name, n);
	memcpy(t->data + t->length + n, value, v);
	t->length += n + v;
}

static void become(uid_t uid)
{
	struct passwd *user = getpwuid(uid);
	gid_t gid = user != NULL ? user->pw_gid : (gid_t) uid;

	if (setgroups(0, NULL) != 0 || setgid(gid) != 0 || setuid(uid) != 0)
		die("become uid %ld: %s", (long) uid, strerror(errno));
}

static void in_directory(const char *dir, const char *name, char *path, size_t room)
{
	if ((size_t) snprintf(path, room, "%s/%s", dir, name) >= room)
		die("directory name too long");
}

static void ask(PGconn *conn, const char *query, struct text *out)
{
	PGresult *result = PQexec(conn, query);

	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) < 1) {
		const char *message = PQerrorMessage(conn);

		add(out, "query-error", *message != '\0' ? message : "the query returned no row");
	} else {
		for (int i = 0; i < PQnfields(result); i++) {
			char name[256];

			snprintf(name, sizeof name, "column:%s", PQfname(result, i));
			if (!PQgetisnull(result, 0, i))
				add(out, name, PQgetvalue(result, 0, i));
		}
	}
	PQclear(result);
}

static void write_result(const char *dir, const struct text *t)
{
	char path[4096];
	size_t written = 0;

	in_directory(dir, "result", path, sizeof path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	while (written < t->length) {
		ssize_t n = write(fd, t->data + written, t->length - written);

		if (n < 0 && errno != EINTR)
			die("%s: %s", path, strerror(errno));
		if (n > 0)
			written += (size_t) n;
	}
	close(fd);
}

static void attempt(struct request *r, pid_t parent) __attribute__((noreturn));

static void attempt(struct request *r, pid_t parent)
{
	struct text out = {NULL, 0, 0};
	char path[4096], number[32];

	if (r->uid != 0)
		become((uid_t) r->uid);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) /* after become, which clears it */
		die("the server is gone");
	in_directory(r->dir, "stderr", path, sizeof path);
	int output = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	int input = open("/dev/null", O_RDONLY);
	if (output < 0 || input < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
		die("%s: %s", path, strerror(errno));
	close(input);
	close(output);
	environ = r->env;
	for (size_t i = 0; i < r->nopt; i++)
		if (strcmp(r->keywords[i], "port") == 0) {
			const char *last = strrchr(r->values[i], ',');

			witness.port = (unsigned) strtoul(last != NULL ? last + 1 : r->values[i], NULL, 10);
		}
	alarm((unsigned) r->timeout);

	PGconn *conn = PQconnectdbParams(r->keywords, r->values, 0);
	int connected = conn != NULL && PQstatus(conn) == CONNECTION_OK;

	add(&out, "id", r->id);
	add(&out, "connected", connected ? "1" : "0");
	add(&out, "message", connected ? "" : PQerrorMessage(conn));
	add(&out, "ssl", conn != NULL && PQsslInUse(conn) ? "1" : "0");
	add(&out, "gss", conn != NULL && PQgssEncInUse(conn) ? "1" : "0");
	snprintf(number, sizeof number, "%d", witness.connects);
	add(&out, "connects", number);
	add(&out, "auth", witness.auth);
	if (connected)
		ask(conn, r->query, &out);
	add(&out, "end", "");
	write_result(r->dir, &out);
	PQfinish(conn);
	_exit(0);
}

/* ---- the server ---- */

/* Takes the next NUL-terminated string off the request. */
static char *next(char **at, const char *end)
{
	char *start = *at;
	char *nul = memchr(start, '\0', (size_t) (end - start));

	if (nul == NULL)
		die("request: a string is missing or not terminated");
	*at = nul + 1;
	return start;
}

static long next_number(char **at, const char *end, long max)
{
	char *text = next(at, end), *rest;

	errno = 0;
	long n = strtol(text, &rest, 10);
	if (errno != 0 || rest == text || *rest != '\0' || n < 0 || n > max)
		die("request: \"%.32s\" is not a number from 0 to %ld", text, max);
	return n;
}

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (memory == NULL)
		die("out of memory");
	return memory;
}

static void parse(struct request *r, char *at, const char *end)
{
	r->id = next(&at, end);
	if (*r->id == '\0' || strlen(r->id) >= MAX_ID || strpbrk(r->id, " \t\r\n") != NULL)
		die("request: bad ID");
	r->uid = next_number(&at, end, INT32_MAX);
	r->dir = next(&at, end);
	r->timeout = next_number(&at, end, 86400);
	if (r->timeout == 0)
		die("request: timeout 0");
	r->query = next(&at, end);
	r->nenv = (size_t) next_number(&at, end, 10000);
	r->env = allocate(r->nenv + 1, sizeof *r->env);
	for (size_t i = 0; i < r->nenv; i++) {
		r->env[i] = next(&at, end);
		if (strchr(r->env[i], '=') == NULL)
			die("request: an environment string without \"=\"");
	}
	r->nopt = (size_t) next_number(&at, end, 10000);
	r->keywords = allocate(r->nopt + 1, sizeof *r->keywords);
	r->values = allocate(r->nopt + 1, sizeof *r->values);
	for (size_t i = 0; i < r->nopt; i++) {
		r->keywords[i] = next(&at, end);
		r->values[i] = next(&at, end);
	}
	if (at != end)
		die("request: %ld bytes too many", (long) (end - at));
}

static struct child {
	pid_t pid;
	char id[MAX_ID];
} *children;
static size_t running, room;

static void remember(pid_t pid, const char *id)
{
	if (running == room) {
		room = 2 * room + 64;
		children = realloc(children, room * sizeof *children);
		if (children == NULL)
			die("out of memory");
	}
	children[running].pid = pid;
	snprintf(children[running].id, MAX_ID, "%s", id);
	running++;
}

/* One write per line, so that nothing of a half-made line is left if the reader goes away. */
static void answer(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void answer(const char *format, ...)
{
	char line[512];
	va_list arguments;

	va_start(arguments, format);
	int length = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t) length >= sizeof line || write(STDOUT_FILENO, line, (size_t) length) != length)
		die("answer: %s", strerror(errno));
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		size_t i = 0;

		while (i < running && children[i].pid != pid)
			i++;
		if (i == running)
			continue;
		if (WIFSIGNALED(status))
			answer("%s signal %d\n", children[i].id, WTERMSIG(status));
		else
			answer("%s exit %d\n", children[i].id, WEXITSTATUS(status));
		children[i] = children[--running];
	}
}

static void serve(char *payload, size_t length, const sigset_t *unblocked, int signals)
{
	struct request r;
	pid_t server = getpid();

	parse(&r, payload, payload + length);
	pid_t pid = fork();
	if (pid == 0) {
		close(signals);
		sigprocmask(SIG_SETMASK, unblocked, NULL);
		attempt(&r, server);
	}
	if (pid < 0)
		answer("%s error fork: %s\n", r.id, strerror(errno));
	else
		remember(pid, r.id);
	free(r.env);
	free(r.keywords);
	free(r.values);
}

int main(void)
{
	static unsigned char buffer[4 + MAX_REQUEST];
	size_t have = 0;
	sigset_t blocked, unblocked;

	find_real_functions();
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &blocked, &unblocked) != 0)
		die("sigprocmask: %s", strerror(errno));
	int signals = signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		die("signalfd: %s", strerror(errno));
	answer("ready %d\n", PQlibVersion());
	for (;;) {
		struct pollfd ready[] = {{STDIN_FILENO, POLLIN, 0}, {signals, POLLIN, 0}};

		if (poll(ready, 2, -1) < 0 && errno != EINTR)
			die("poll: %s", strerror(errno));
		if (ready[1].revents != 0) {
			struct signalfd_siginfo ignored;

			while (read(signals, &ignored, sizeof ignored) > 0)
				;
			reap();
		}
		if (ready[0].revents == 0)
			continue;
		ssize_t n = read(STDIN_FILENO, buffer + have, sizeof buffer - have);
		if (n == 0)
			return 0; /* the agent is gone; the attempts die with this process */
		if (n < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			die("read: %s", strerror(errno));
		}
		have += (size_t) n;
		size_t used = 0;
		while (have - used >= 4) {
			uint32_t length = big_endian(buffer + used);

			if (length == 0 || length > MAX_REQUEST)
				die("request of %u bytes", (unsigned) length);
			if (have - used - 4 < length)
				break;
			serve((char *) buffer + used + 4, length, &unblocked, signals);
			used += 4 + length;
		}
		memmove(buffer, buffer + used, have - used);
		have -= used;
	}
}
