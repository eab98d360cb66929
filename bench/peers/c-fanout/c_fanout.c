// The yardstick of the chat's fan-out: sends the same bytes to as many sockets, in a bare loop.
//
// Usage: c_fanout BYTES
// Listens on a port of 127.0.0.1 that it prints. The first connection is the control: for every byte that comes by it, BYTES bytes are
// written to all other connections, one write each, and then the byte goes back. Connections are accepted as they come, between two such
// rounds. It ends when the control connection does.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

int main(int argc, char **argv)
{
    int size = argc == 2 ? atoi(argv[1]) : 0;
    if (size < 1) {
        fprintf(stderr, "usage: c_fanout BYTES, 1 or more\n");
        return 2;
    }
    char *bytes = calloc(1, size);
    int *members = NULL, count = 0, room = 0, control = -1, on = 1;

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096)
        || getsockname(listener, (struct sockaddr *)&address, &length))
        fail("listen");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);

    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event))
        fail("epoll_ctl");

    for (;;) {
        struct epoll_event ready[16];
        int n = epoll_wait(epoll, ready, 16, -1);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd == listener) {
                int fd;
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                    if (control < 0) {
                        control = fd;
                        struct epoll_event in = {.events = EPOLLIN, .data.fd = fd};
                        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &in))
                            fail("epoll_ctl");
                        continue;
                    }
                    if (count == room)
                        members = realloc(members, (room = room ? room * 2 : 64) * sizeof *members);
                    members[count++] = fd;
                }
                continue;
            }
            char byte;
            ssize_t got = read(control, &byte, 1);
            if (got == 0 || (got < 0 && errno != EAGAIN))
                return 0;
            if (got < 0)
                continue;
            for (int member = 0; member < count; member++)
                if (write(members[member], bytes, size) != size)
                    fail("write");
            if (write(control, &byte, 1) != 1)
                fail("write");
        }
    }
}
