/* Looks names up with the C library that it is linked with: for each, the outcome and the IPv4 addresses in order. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
  for (int at = 1; at < argc; at++) {
    struct addrinfo hints, *found = NULL;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    int wrong = getaddrinfo(argv[at], NULL, &hints, &found);
    printf("%s: %s", argv[at], wrong ? gai_strerror(wrong) : "found");
    for (struct addrinfo *one = found; one; one = one->ai_next) {
      char text[INET_ADDRSTRLEN];
      if (one->ai_family != AF_INET) continue;
      inet_ntop(AF_INET, &((struct sockaddr_in *)one->ai_addr)->sin_addr, text, sizeof text);
      printf(" %s", text);
    }
    putchar('\n');
    if (found) freeaddrinfo(found);
  }
  return 0;
}
