/* A program may be started with its standard descriptors closed. The Haskell runtime would then open its own pipes
 * there, before any Haskell code runs, and what is printed would go into them: the program hung. So each place is taken
 * before the runtime begins. What is written to a closed stdout still fails; talk to a closed stderr is lost. */
#include <fcntl.h>

__attribute__((constructor)) static void take_standard_descriptors(void) {
    static const int modes[] = {O_RDONLY, O_RDONLY, O_WRONLY};
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) == -1) {
            (void)open("/dev/null", modes[fd]); /* the lowest that is free: fd */
        }
    }
}
