/* How fast these cores read memory, in the manner of STREAM: each thread sums its part of a buffer, pass after pass.
   No engine can decode faster than it reads its weights. usage: read_bandwidth MEGABYTES THREADS; prints GB/s, the
   median of the passes and the best of them. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { PASSES = 41, UNROLLED = 8 };
typedef uint64_t vector __attribute__((vector_size(64)));

static vector *buffer;
static size_t bytes, vectors;
static int threads;
static pthread_barrier_t barrier;
static volatile uint64_t sink;
static double rates[PASSES];

static void sum(int thread) {
    size_t each = vectors / threads / UNROLLED * UNROLLED;
    const vector *from = buffer + each * thread;
    vector sums[UNROLLED] = {0};
    for (size_t i = 0; i < each; i += UNROLLED)
        for (int j = 0; j < UNROLLED; j++)
            sums[j] += from[i + j];
    for (int j = 1; j < UNROLLED; j++)
        sums[0] += sums[j];
    sink = sums[0][0];
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

static void *work(void *argument) {
    int thread = (int)(intptr_t)argument;
    for (int pass = 0; pass < PASSES; pass++) {
        pthread_barrier_wait(&barrier);
        double before = seconds();
        sum(thread);
        /* The clock is read by one that reads memory, too: another would need a core, and be late. */
        pthread_barrier_wait(&barrier);
        if (thread == 0)
            rates[pass] = bytes / (seconds() - before) / 1e9;
    }
    return NULL;
}

static int order(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

int main(int count, char **arguments) {
    if (count != 3 || (threads = atoi(arguments[2])) < 1 || atol(arguments[1]) < 1) {
        fprintf(stderr, "usage: %s MEGABYTES THREADS\n", arguments[0]);
        return 2;
    }
    bytes = (size_t)atol(arguments[1]) * 1000000 / 4096 * 4096;
    if (posix_memalign((void **)&buffer, 1 << 21, bytes)) {
        fprintf(stderr, "%s: not so much memory\n", arguments[0]);
        return 1;
    }
    madvise(buffer, bytes, MADV_HUGEPAGE);
    memset(buffer, 1, bytes);
    vectors = bytes / sizeof(vector);
    pthread_barrier_init(&barrier, NULL, threads);
    pthread_t others[threads];
    for (int i = 1; i < threads; i++) {
        if (pthread_create(&others[i], NULL, work, (void *)(intptr_t)i)) {
            fprintf(stderr, "%s: no thread\n", arguments[0]);
            return 1;
        }
    }
    work(NULL);
    for (int i = 1; i < threads; i++)
        pthread_join(others[i], NULL);
    qsort(rates + 1, PASSES - 1, sizeof *rates, order);
    printf("%.2f %.2f\n", rates[PASSES / 2], rates[PASSES - 1]);
    return 0;
}
