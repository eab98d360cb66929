/*
 * The yardstick: an echo server on bare epoll, in C, on one thread. What a .NET server of this repository costs is
 * told as a ratio to this program, so it must be as fast as a plain epoll server can honestly be, and it must be a
 * correct echo under every load that the others are measured with: no byte lost, doubled or out of order.
 *
 * Usage: c_epoll --port N [--spin]   (0 takes any free port; prints "listening on 127.0.0.1:PORT" when ready)
 * With --spin it never sleeps: no server can answer one client sooner than that on the machine at hand.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum
{
    SCRATCH_BYTES = 64 * 1024,
    EVENTS_PER_WAIT = 1024,
};

struct connection
{
    int descriptor;
    /* Once the peer has hung up no further edge comes, so from then on a short read does not end the reading. */
    bool hung_up;
    /* What the socket did not take, null when there is nothing. While it is there nothing is read: that keeps the
     * order, bounds the memory to one scratch per connection, and lets TCP hold back a peer that does not read. */
    char *unsent;
    size_t unsent_offset;
    size_t unsent_bytes;
};

enum outcome
{
    STILL_OPEN,
    FINISHED,
};

static char scratch[SCRATCH_BYTES];
static struct epoll_event events[EVENTS_PER_WAIT];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* One write, repeated when a signal came first. Sets *written to 0 when the socket is full. */
static enum outcome write_some(int descriptor, const char *bytes, size_t count, size_t *written)
{
    for (;;)
    {
        ssize_t result = send(descriptor, bytes, count, MSG_NOSIGNAL);
        if (result >= 0)
        {
            *written = (size_t)result;
            return STILL_OPEN;
        }
        if (errno == EAGAIN)
        {
            *written = 0;
            return STILL_OPEN;
        }
        if (errno != EINTR)
        {
            return FINISHED;
        }
    }
}

/* Sends what an earlier write left. A short write needs no second try here: the socket's next edge carries EPOLLOUT. */
static enum outcome drain(struct connection *connection)
{
    size_t written;
    if (write_some(connection->descriptor, connection->unsent + connection->unsent_offset, connection->unsent_bytes, &written) == FINISHED)
    {
        return FINISHED;
    }
    connection->unsent_offset += written;
    connection->unsent_bytes -= written;
    if (connection->unsent_bytes == 0)
    {
        free(connection->unsent);
        connection->unsent = NULL;
    }
    return STILL_OPEN;
}

static enum outcome echo(struct connection *connection)
{
    for (;;)
    {
        ssize_t received = recv(connection->descriptor, scratch, SCRATCH_BYTES, 0);
        if (received == 0)
        {
            return FINISHED;
        }
        if (received < 0)
        {
            if (errno == EINTR)
            {
                continue;
            }
            return errno == EAGAIN ? STILL_OPEN : FINISHED;
        }

        size_t written;
        if (write_some(connection->descriptor, scratch, (size_t)received, &written) == FINISHED)
        {
            return FINISHED;
        }
        if (written < (size_t)received)
        {
            connection->unsent_offset = 0;
            connection->unsent_bytes = (size_t)received - written;
            connection->unsent = malloc(connection->unsent_bytes);
            if (connection->unsent == NULL)
            {
                fail("malloc");
            }
            memcpy(connection->unsent, scratch + written, connection->unsent_bytes);
            return STILL_OPEN;
        }

        /* A short read has emptied the socket, and whatever comes later is a new edge: no second read just to see EAGAIN.
         * Not after a hang-up, whose edge is already spent: the end of the stream would never be seen. */
        if (received < SCRATCH_BYTES && !connection->hung_up)
        {
            return STILL_OPEN;
        }
    }
}

static enum outcome serve(struct connection *connection, uint32_t flags)
{
    if (flags & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
    {
        connection->hung_up = true;
    }
    if (connection->unsent != NULL)
    {
        if (drain(connection) == FINISHED)
        {
            return FINISHED;
        }
        if (connection->unsent != NULL)
        {
            return STILL_OPEN;
        }
        /* The edges of what arrived meanwhile were spent on not reading, so look now, whatever this event says. */
        return echo(connection);
    }
    /* An event without any of these is a bare EPOLLOUT: there is nothing to send and nothing new to read. */
    return flags & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? echo(connection) : STILL_OPEN;
}

static void accept_all(int listener, int epoll)
{
    for (;;)
    {
        int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0)
        {
            if (errno == EINTR || errno == ECONNABORTED)
            {
                continue;
            }
            if (errno == EAGAIN)
            {
                return;
            }
            fail("accept4"); /* Out of descriptors above all: a yardstick that limps on would only mislead. */
        }

        int on = 1;
        if (setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        {
            fail("setsockopt TCP_NODELAY");
        }

        struct connection *connection = calloc(1, sizeof *connection);
        if (connection == NULL)
        {
            fail("calloc");
        }
        connection->descriptor = descriptor;

        /* EPOLLOUT stands from the start: an edge-triggered TCP socket reports it only with another event or after it was
         * full, so it costs nothing, and a short write needs no epoll_ctl. */
        struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = connection};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &interest) < 0)
        {
            fail("epoll_ctl");
        }
    }
}

static int listen_on_loopback(int port)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
    {
        fail("socket");
    }
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
    {
        fail("bind");
    }
    if (listen(listener, SOMAXCONN) < 0)
    {
        fail("listen");
    }
    return listener;
}

static int bound_port(int listener)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    if (getsockname(listener, (struct sockaddr *)&address, &length) < 0)
    {
        fail("getsockname");
    }
    return ntohs(address.sin_port);
}

static int parse_port(int argument_count, char **arguments)
{
    if (argument_count == 3 && strcmp(arguments[1], "--port") == 0)
    {
        char *end;
        long port = strtol(arguments[2], &end, 10);
        if (end != arguments[2] && *end == '\0' && port >= 0 && port <= 65535)
        {
            return (int)port;
        }
    }
    fprintf(stderr, "usage: %s --port N [--spin]   (0 to 65535; 0 takes any free port)\n", arguments[0]);
    exit(2);
}

int main(int argument_count, char **arguments)
{
    bool spin = argument_count == 4 && strcmp(arguments[3], "--spin") == 0;
    int listener = listen_on_loopback(parse_port(spin ? argument_count - 1 : argument_count, arguments));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
    {
        fail("epoll_create1");
    }
    /* Level-triggered: it is touched once per burst of connections, and so it cannot forget one. */
    struct epoll_event interest = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &interest) < 0)
    {
        fail("epoll_ctl");
    }
    printf("listening on 127.0.0.1:%d\n", bound_port(listener));
    fflush(stdout);

    for (;;)
    {
        int count = epoll_wait(epoll, events, EVENTS_PER_WAIT, spin ? 0 : -1);
        if (count < 0)
        {
            if (errno == EINTR)
            {
                continue;
            }
            fail("epoll_wait");
        }
        for (int index = 0; index < count; index++)
        {
            struct connection *connection = events[index].data.ptr;
            if (connection == NULL)
            {
                accept_all(listener, epoll);
            }
            else if (serve(connection, events[index].events) == FINISHED)
            {
                /* A batch names a socket once, and only its own event frees it: no later event can point here. */
                close(connection->descriptor);
                free(connection->unsent);
                free(connection);
            }
        }
    }
}
