/*
 * The load generator: one thread on epoll that sends to an echo server, verifies every byte that comes back, and fails
 * loudly at the first one that is wrong, missing or too many. Run it with --help for its modes and its output.
 *
 * What a connection sends is a stretch of one fixed pattern, repeated for ever; connections differ in where they start.
 * Its length is a prime, so no message size divides it: a message that is lost, doubled, swapped with its neighbour or
 * sent to the wrong connection meets other bytes than it should. To verify is one memcmp against the pattern, which is
 * stored a little longer than its period so that a comparison never has to wrap.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum
{
    READ_BYTES = 64 * 1024,
    PATTERN_PERIOD = 65521, /* the largest prime below 64 Ki */
    EVENTS_PER_WAIT = 1024,
    STALL_SECONDS = 5,
    /* Every n-th message is timed: two clock readings each would slow the generator down. A prime again, so that the
     * choice does not settle on the same few connections. */
    SAMPLE_EVERY = 61,
    SAMPLES_AT_MOST = 1 << 20,
};

#define NANOSECONDS_PER_SECOND 1000000000ull

enum work
{
    WORK_ECHO,
    WORK_IDLE,
    WORK_CHURN,
};

struct options
{
    int port;
    int connections;
    long size;
    int in_flight;
    double seconds;
    bool rounds_from_stdin;
    bool spin;
    enum work work;
};

struct connection
{
    int descriptor;
    bool timing;           /* a sample is running */
    bool end_sent;         /* churn: our side is shut, the server's end of stream is awaited */
    uint32_t send_phase;   /* where in the pattern the next byte to send stands */
    uint32_t verify_phase; /* where in the pattern the next byte to come back stands */
    uint64_t unsent;       /* bytes that may go out now */
    uint64_t outstanding;  /* bytes that may go out or went out, and are not back yet */
    uint64_t partial;      /* bytes of a message that is only half back */
    uint64_t timed_rest;   /* bytes that must still come back until the timed message is complete */
    uint64_t timed_since;
};

static struct options options = {.connections = 1, .size = 64, .in_flight = 1, .seconds = 1};
static struct connection *connections;
static int epoll;
static char *pattern;
static size_t send_at_most; /* one write never reaches past the stored pattern */
static char received_bytes[READ_BYTES];
static struct epoll_event events[EVENTS_PER_WAIT];

/* The running round. */
static bool stopping;
static uint64_t messages;
static uint64_t total_outstanding;
static int until_sample;
static uint64_t *samples;
static size_t sample_count;

static void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "load: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

static uint64_t clock_nanoseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static uint64_t now_nanoseconds(void)
{
    return clock_nanoseconds(CLOCK_MONOTONIC);
}

static int number_of(const struct connection *connection)
{
    return (int)(connection - connections);
}

static void make_pattern(void)
{
    size_t longest_send = (size_t)options.size * (size_t)options.in_flight;
    send_at_most = longest_send < 1024 * 1024 ? longest_send : 1024 * 1024;
    size_t beyond = send_at_most > READ_BYTES ? send_at_most : READ_BYTES;
    pattern = malloc(PATTERN_PERIOD + beyond);
    if (pattern == NULL)
    {
        fail("out of memory");
    }
    uint64_t state = 88172645463325252ull; /* xorshift64: any non-repeating bytes do, and every run has the same */
    for (size_t index = 0; index < PATTERN_PERIOD; index++)
    {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        pattern[index] = (char)(state >> 32);
    }
    for (size_t index = PATTERN_PERIOD; index < PATTERN_PERIOD + beyond; index++)
    {
        pattern[index] = pattern[index - PATTERN_PERIOD];
    }
}

/* ---- connections ---- */

static void open_connection(struct connection *connection)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
    {
        fail("connection %d: socket: %s (descriptor limit: ulimit -n)", number_of(connection), strerror(errno));
    }
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)options.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    /* Connecting blocks: on loopback it is over at once, unless the server's accept queue is full, and then waiting is right. */
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0)
    {
        fail("connection %d: connect to 127.0.0.1:%d: %s", number_of(connection), options.port, strerror(errno));
    }
    int on = 1;
    if (fcntl(descriptor, F_SETFL, O_NONBLOCK) < 0 || setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
    {
        fail("connection %d: socket options: %s", number_of(connection), strerror(errno));
    }

    uint32_t phase = (uint32_t)((uint64_t)number_of(connection) * 7919 % PATTERN_PERIOD);
    *connection = (struct connection){.descriptor = descriptor, .send_phase = phase, .verify_phase = phase};
    struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &interest) < 0)
    {
        fail("connection %d: epoll_ctl: %s", number_of(connection), strerror(errno));
    }
}

static void open_all(void)
{
    /* The limit that a shell hands down is often 1024, below what is asked for here; the hard limit is the real one. */
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc((size_t)options.connections, sizeof *connections);
    if (epoll < 0 || connections == NULL)
    {
        fail("cannot start: %s", strerror(errno));
    }
    for (int index = 0; index < options.connections; index++)
    {
        open_connection(&connections[index]);
    }
}

/* ---- sending and verifying ---- */

static void send_unsent(struct connection *connection)
{
    while (connection->unsent > 0)
    {
        size_t count = connection->unsent < send_at_most ? connection->unsent : send_at_most;
        ssize_t sent = send(connection->descriptor, pattern + connection->send_phase, count, MSG_NOSIGNAL);
        if (sent < 0)
        {
            if (errno == EINTR)
            {
                continue;
            }
            if (errno == EAGAIN)
            {
                return;
            }
            fail("connection %d: send: %s", number_of(connection), strerror(errno));
        }
        connection->unsent -= (uint64_t)sent;
        connection->send_phase = (uint32_t)((connection->send_phase + (uint64_t)sent) % PATTERN_PERIOD);
        if ((size_t)sent < count)
        {
            return; /* full: the next edge with EPOLLOUT goes on */
        }
    }
}

static void send_messages(struct connection *connection, uint64_t count)
{
    uint64_t bytes = count * (uint64_t)options.size;
    connection->unsent += bytes;
    connection->outstanding += bytes;
    total_outstanding += bytes;

    until_sample -= (int)count;
    if (until_sample <= 0 && !connection->timing)
    {
        until_sample = SAMPLE_EVERY;
        connection->timing = true;
        connection->timed_rest = connection->outstanding;
        connection->timed_since = now_nanoseconds();
    }
    send_unsent(connection);
}

static void verify(struct connection *connection, const char *bytes, size_t count)
{
    if (count > connection->outstanding - connection->unsent)
    {
        fail("connection %d: %zu bytes came back, only %llu were sent", number_of(connection), count,
            (unsigned long long)(connection->outstanding - connection->unsent));
    }
    const char *expected = pattern + connection->verify_phase;
    if (memcmp(bytes, expected, count) != 0)
    {
        size_t index = 0;
        while (bytes[index] == expected[index])
        {
            index++;
        }
        fail("connection %d: wrong byte in its echo: 0x%02x instead of 0x%02x (byte %zu of a read of %zu, message %llu of the round)",
            number_of(connection), (unsigned char)bytes[index], (unsigned char)expected[index], index, count,
            (unsigned long long)messages);
    }
    connection->verify_phase = (uint32_t)((connection->verify_phase + count) % PATTERN_PERIOD);
    connection->outstanding -= count;
    total_outstanding -= count;

    if (connection->timing)
    {
        if (count < connection->timed_rest)
        {
            connection->timed_rest -= count;
        }
        else
        {
            connection->timing = false;
            if (sample_count < SAMPLES_AT_MOST)
            {
                samples[sample_count++] = now_nanoseconds() - connection->timed_since;
            }
        }
    }
}

/* Reads what is there and answers each complete message with a new one, all of them with one write. */
static void on_readable(struct connection *connection)
{
    for (;;)
    {
        ssize_t received = recv(connection->descriptor, received_bytes, READ_BYTES, 0);
        if (received == 0)
        {
            fail("connection %d: closed by the server with %llu bytes outstanding", number_of(connection),
                (unsigned long long)connection->outstanding);
        }
        if (received < 0)
        {
            if (errno == EINTR)
            {
                continue;
            }
            if (errno == EAGAIN)
            {
                return;
            }
            fail("connection %d: recv: %s", number_of(connection), strerror(errno));
        }
        verify(connection, received_bytes, (size_t)received);

        connection->partial += (uint64_t)received;
        uint64_t completed = connection->partial / (uint64_t)options.size;
        if (completed > 0)
        {
            connection->partial -= completed * (uint64_t)options.size;
            messages += completed;
            if (!stopping)
            {
                send_messages(connection, completed);
            }
        }
        if (received < READ_BYTES)
        {
            return; /* a short read emptied the socket; what comes later is a new edge */
        }
    }
}

static int wait_for_events(int timeout_milliseconds)
{
    /* With --spin the core never sleeps: what is measured is then the server's way from asleep to answering, not this one's as well. */
    uint64_t give_up = options.spin ? now_nanoseconds() + (uint64_t)timeout_milliseconds * 1000000 : 0;
    for (;;)
    {
        int count = epoll_wait(epoll, events, EVENTS_PER_WAIT, options.spin ? 0 : timeout_milliseconds);
        if (count > 0 || (count == 0 && (!options.spin || now_nanoseconds() >= give_up)))
        {
            return count;
        }
        if (count == 0)
        {
            continue;
        }
        if (errno != EINTR)
        {
            fail("epoll_wait: %s", strerror(errno));
        }
    }
}

/* ---- the echo rounds ---- */

static void fail_stalled(void)
{
    for (int index = 0; index < options.connections; index++)
    {
        if (connections[index].outstanding > 0)
        {
            fail("no echo for %d s: connection %d still waits for %llu bytes (all connections: %llu)", STALL_SECONDS, index,
                (unsigned long long)connections[index].outstanding, (unsigned long long)total_outstanding);
        }
    }
    fail("stalled without anything outstanding");
}

static int compare_samples(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static double percentile_microseconds(double fraction)
{
    return sample_count == 0 ? 0 : (double)samples[(size_t)(fraction * (double)(sample_count - 1))] / 1000.0;
}

static void print_round(uint64_t elapsed_nanoseconds, uint64_t processor_nanoseconds)
{
    double seconds = (double)elapsed_nanoseconds / (double)NANOSECONDS_PER_SECOND;
    qsort(samples, sample_count, sizeof *samples, compare_samples);
    printf("messages=%llu seconds=%.6f messages_per_second=%.1f latency_p50_us=%.1f latency_p99_us=%.1f latency_samples=%zu "
           "load_processor_seconds=%.6f\n",
        (unsigned long long)messages, seconds, (double)messages / seconds, percentile_microseconds(0.50),
        percentile_microseconds(0.99), sample_count, (double)processor_nanoseconds / (double)NANOSECONDS_PER_SECOND);
    fflush(stdout);
}

static void start_round(void)
{
    stopping = false;
    messages = 0;
    total_outstanding = 0;
    until_sample = SAMPLE_EVERY;
    sample_count = 0;
}

/* A round ends when its last message is back, so the server's work before and after is exactly these messages. */
static void run_round(double round_seconds)
{
    start_round();
    uint64_t processor_start = clock_nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t start = now_nanoseconds();
    uint64_t stop = start + (uint64_t)(round_seconds * (double)NANOSECONDS_PER_SECOND);
    for (int index = 0; index < options.connections; index++)
    {
        send_messages(&connections[index], (uint64_t)options.in_flight);
    }

    uint64_t now = start;
    while (total_outstanding > 0)
    {
        int count = wait_for_events(STALL_SECONDS * 1000);
        now = now_nanoseconds();
        if (count == 0 || now > stop + STALL_SECONDS * NANOSECONDS_PER_SECOND)
        {
            fail_stalled();
        }
        stopping = now >= stop;
        for (int index = 0; index < count; index++)
        {
            struct connection *connection = events[index].data.ptr;
            if (events[index].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            {
                fail("connection %d: closed or reset by the server with %llu bytes outstanding", number_of(connection),
                    (unsigned long long)connection->outstanding);
            }
            if (events[index].events & EPOLLOUT)
            {
                send_unsent(connection);
            }
            if (events[index].events & EPOLLIN)
            {
                on_readable(connection);
            }
        }
    }
    print_round(now_nanoseconds() - start, clock_nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - processor_start);
}

static void announce_ready(void)
{
    printf("ready\n");
    fflush(stdout);
}

static void run_rounds_from_stdin(void)
{
    announce_ready();
    char line[64];
    while (fgets(line, sizeof line, stdin) != NULL)
    {
        double round_seconds = strtod(line, NULL);
        if (round_seconds <= 0)
        {
            fail("a round's seconds must be above 0, not '%.*s'", (int)strcspn(line, "\n"), line);
        }
        run_round(round_seconds);
    }
}

/* ---- idle ---- */

/* Holds the connections without a byte; then each echoes one message, so that one the server lost cannot pass for idle. */
static void run_idle(void)
{
    announce_ready();
    uint64_t stop = now_nanoseconds() + (uint64_t)(options.seconds * (double)NANOSECONDS_PER_SECOND);
    for (uint64_t now = now_nanoseconds(); now < stop; now = now_nanoseconds())
    {
        int count = wait_for_events((int)((stop - now) / 1000000) + 1);
        for (int index = 0; index < count; index++)
        {
            if (events[index].events & ~(uint32_t)EPOLLOUT)
            {
                fail("connection %d: the server closed it or sent something while it was idle",
                    number_of(events[index].data.ptr));
            }
        }
    }
    run_round(0);
}

/* ---- churn ---- */

static void restart_connection(struct connection *connection)
{
    close(connection->descriptor);
    open_connection(connection);
    send_messages(connection, 1);
}

/* One step of: connect, echo one message, shut our side, wait for the server's end of stream, close. Returns whether
 * the connection has gone the whole way. */
static bool churn_step(struct connection *connection, uint32_t flags)
{
    if (flags & EPOLLERR)
    {
        fail("connection %d: reset by the server", number_of(connection));
    }
    if (flags & EPOLLOUT)
    {
        send_unsent(connection);
    }
    if (!(flags & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)))
    {
        return false;
    }
    for (;;)
    {
        ssize_t received = recv(connection->descriptor, received_bytes, READ_BYTES, 0);
        if (received > 0)
        {
            verify(connection, received_bytes, (size_t)received);
            if (connection->outstanding == 0)
            {
                messages++;
                connection->end_sent = true;
                shutdown(connection->descriptor, SHUT_WR);
            }
        }
        else if (received == 0)
        {
            if (!connection->end_sent)
            {
                fail("connection %d: closed by the server with %llu bytes outstanding", number_of(connection),
                    (unsigned long long)connection->outstanding);
            }
            return true;
        }
        else if (errno == EAGAIN)
        {
            return false;
        }
        else if (errno != EINTR)
        {
            fail("connection %d: recv: %s", number_of(connection), strerror(errno));
        }
    }
}

static void run_churn(void)
{
    start_round();
    uint64_t processor_start = clock_nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t start = now_nanoseconds();
    uint64_t stop = start + (uint64_t)(options.seconds * (double)NANOSECONDS_PER_SECOND);
    for (int index = 0; index < options.connections; index++)
    {
        send_messages(&connections[index], 1);
    }
    int running = options.connections;
    while (running > 0)
    {
        int count = wait_for_events(STALL_SECONDS * 1000);
        uint64_t now = now_nanoseconds();
        if (count == 0 || now > stop + STALL_SECONDS * NANOSECONDS_PER_SECOND)
        {
            fail("no progress for %d s: %d connections wait for their echo or for the server's end of stream", STALL_SECONDS, running);
        }
        for (int index = 0; index < count; index++)
        {
            struct connection *connection = events[index].data.ptr;
            if (!churn_step(connection, events[index].events))
            {
                continue;
            }
            if (now < stop)
            {
                restart_connection(connection);
            }
            else
            {
                close(connection->descriptor);
                running--;
            }
        }
    }
    print_round(now_nanoseconds() - start, clock_nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - processor_start);
}

/* ---- command line ---- */

static void print_usage(FILE *file)
{
    fprintf(file,
        "usage: load --port P [options]\n"
        "\n"
        "Sends to an echo server on 127.0.0.1 and verifies every byte that comes back. Any wrong, missing or extra byte,\n"
        "any lost connection, and %d s without progress end it with a message on stderr and exit code 1.\n"
        "\n"
        "  --connections N       connections (default 1)\n"
        "  --size BYTES          bytes per message (default 64)\n"
        "  --in-flight K         messages on the way per connection (default 1)\n"
        "  --seconds S           length of the round (default 1)\n"
        "  --mode ping-pong      one connection, one message in flight\n"
        "  --rounds-from-stdin   print 'ready' when connected, then run one round for each line of stdin (its seconds)\n"
        "  --idle N              open N connections, print 'ready', send nothing for S seconds; then each echoes once\n"
        "  --spin                ask for events again and again instead of sleeping until one comes\n"
        "  --churn               N connections, each again and again: connect, echo once, shut down, await the end, close\n"
        "\n"
        "A round prints one line of key=value pairs: messages, seconds, messages_per_second, latency_p50_us,\n"
        "latency_p99_us, latency_samples, load_processor_seconds. With --churn a message is a whole connection, and its\n"
        "latency lasts from its sending to its echo.\n",
        STALL_SECONDS);
}

static long parse_number(const char *name, const char *text, long least, long most)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > most)
    {
        fail("--%s must be a number from %ld to %ld, not '%s'", name, least, most, text);
    }
    return value;
}

static double parse_seconds(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0 && value <= 86400))
    {
        fail("--seconds must be above 0 and at most 86400, not '%s'", text);
    }
    return value;
}

static void parse_options(int argument_count, char **arguments)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},
        {"connections", required_argument, NULL, 'c'},
        {"size", required_argument, NULL, 'b'},
        {"in-flight", required_argument, NULL, 'k'},
        {"seconds", required_argument, NULL, 's'},
        {"mode", required_argument, NULL, 'm'},
        {"rounds-from-stdin", no_argument, NULL, 'r'},
        {"idle", required_argument, NULL, 'i'},
        {"churn", no_argument, NULL, 'x'},
        {"spin", no_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    while ((option = getopt_long(argument_count, arguments, "", known, NULL)) != -1)
    {
        switch (option)
        {
            case 'p': options.port = (int)parse_number("port", optarg, 1, 65535); break;
            case 'c': options.connections = (int)parse_number("connections", optarg, 1, 1000000); break;
            case 'b': options.size = parse_number("size", optarg, 1, 16 * 1024 * 1024); break;
            case 'k': options.in_flight = (int)parse_number("in-flight", optarg, 1, 65536); break;
            case 's': options.seconds = parse_seconds(optarg); break;
            case 'm':
                if (strcmp(optarg, "ping-pong") != 0)
                {
                    fail("--mode knows only ping-pong, not '%s'", optarg);
                }
                options.connections = 1;
                options.in_flight = 1;
                break;
            case 'r': options.rounds_from_stdin = true; break;
            case 'i':
                options.work = WORK_IDLE;
                options.connections = (int)parse_number("idle", optarg, 1, 1000000);
                break;
            case 'x': options.work = WORK_CHURN; break;
            case 'w': options.spin = true; break;
            case 'h': print_usage(stdout); exit(0);
            default: print_usage(stderr); exit(2);
        }
    }
    if (options.port == 0 || optind != argument_count)
    {
        print_usage(stderr);
        exit(2);
    }
}

int main(int argument_count, char **arguments)
{
    parse_options(argument_count, arguments);
    make_pattern();
    samples = malloc(SAMPLES_AT_MOST * sizeof *samples);
    if (samples == NULL)
    {
        fail("out of memory");
    }
    open_all();
    switch (options.work)
    {
        case WORK_ECHO:
            if (options.rounds_from_stdin)
            {
                run_rounds_from_stdin();
            }
            else
            {
                run_round(options.seconds);
            }
            break;
        case WORK_IDLE: run_idle(); break;
        case WORK_CHURN: run_churn(); break;
    }
    return 0;
}
