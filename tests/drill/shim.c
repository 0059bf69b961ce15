/* Loaded before the C library (LD_PRELOAD) into the real program by the drill: moves the clock, or kills the process
 * at a numbered point. The program knows nothing of it, and no build of it holds anything for it.
 *
 *   TESTBED_CLOCK_SHIFT=SECONDS   the wall clock is off by so much
 *   TESTBED_POINTS=FILE           every point is written there, one a line
 *   TESTBED_KILL_AT=N             SIGKILL at the Nth point, from 1
 *
 * Points are before and after everything that leaves the process or becomes durable: writes to files and sockets,
 * syncs, renames; and after what comes in from a socket. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static long kill_at, shift;
static int points = -1;
static atomic_long count;
static ssize_t (*real_write)(int, const void *, size_t);

__attribute__((constructor)) static void begin(void) {
    const char *at = getenv("TESTBED_KILL_AT"), *file = getenv("TESTBED_POINTS"), *seconds = getenv("TESTBED_CLOCK_SHIFT");
    real_write = dlsym(RTLD_NEXT, "write");
    kill_at = at ? atol(at) : 0;
    shift = seconds ? atol(seconds) : 0;
    if (file) points = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void point(const char *when, const char *what, const char *where) {
    if (points < 0 && !kill_at) return;
    long number = atomic_fetch_add(&count, 1) + 1;
    if (points >= 0) {
        char line[512];
        int length = snprintf(line, sizeof line, "%s %s %s\n", when, what, where);
        if (length > 0) real_write(points, line, length < (int)sizeof line ? (size_t)length : sizeof line - 1);
    }
    if (number == kill_at) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
}

/* A file with a name, or a socket: what counts. Wake-ups between threads and the standard streams do not. */
static const char *counted(int fd, char *name, size_t size) {
    struct stat found;
    if (fd <= 2 || fd == points || fstat(fd, &found)) return NULL;
    if (S_ISSOCK(found.st_mode)) {
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer;
        int inet = !getpeername(fd, (struct sockaddr *)&peer, &length) && peer.ss_family == AF_INET;
        return inet ? "socket" : NULL;
    }
    if (!S_ISREG(found.st_mode) && !S_ISDIR(found.st_mode)) return NULL;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, size - 1);
    if (length <= 0) return NULL;
    name[length] = 0;
    const char *base = strrchr(name, '/');
    return base ? base + 1 : name;
}

#define AROUND(result, fd, what, call)                                                                                 \
    char name[256];                                                                                                    \
    const char *where = (points >= 0 || kill_at) ? counted(fd, name, sizeof name) : NULL;                              \
    if (where) point("before", what, where);                                                                           \
    result outcome = call;                                                                                             \
    if (where) point("after", what, where);                                                                            \
    return outcome

#define REAL(result, function, ...)                                                                                    \
    static result (*real)(__VA_ARGS__);                                                                                \
    if (!real) real = dlsym(RTLD_NEXT, function)

ssize_t write(int fd, const void *bytes, size_t size) { AROUND(ssize_t, fd, "write", real_write(fd, bytes, size)); }
ssize_t writev(int fd, const struct iovec *parts, int many) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    AROUND(ssize_t, fd, "write", real(fd, parts, many));
}
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    AROUND(ssize_t, fd, "write", real(fd, bytes, size, at));
}
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    AROUND(ssize_t, fd, "write", real(fd, bytes, size, at));
}
ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    REAL(ssize_t, "send", int, const void *, size_t, int);
    AROUND(ssize_t, fd, "send", real(fd, bytes, size, flags));
}
int fsync(int fd) {
    REAL(int, "fsync", int);
    AROUND(int, fd, "sync", real(fd));
}
int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    AROUND(int, fd, "sync", real(fd));
}
ssize_t recv(int fd, void *bytes, size_t size, int flags) {
    REAL(ssize_t, "recv", int, void *, size_t, int);
    char name[256];
    ssize_t got = real(fd, bytes, size, flags);
    if (got > 0 && (points >= 0 || kill_at) && counted(fd, name, sizeof name)) point("after", "receive", "socket");
    return got;
}
int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    const char *base = strrchr(to, '/');
    point("before", "rename", base ? base + 1 : to);
    int outcome = real(from, to);
    point("after", "rename", base ? base + 1 : to);
    return outcome;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int outcome = real(clock, now);
    if (!outcome && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift;
    return outcome;
}
