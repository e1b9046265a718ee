/* The same work as bench_test.go, by libpq: libpqbench WHAT COUNT CONNINFO prints the seconds it took, by the clock and of the
 * processor. The session that is worked in begins and ends outside of them; so does a tenth of the work, before.
 * gcc -O2 -I"$(pg_config --includedir)" libpqbench.c -o libpqbench -lpq */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static void fail(const char *what, PGconn *c)
{
    fprintf(stderr, "%s: %s", what, PQerrorMessage(c));
    exit(1);
}

static PGconn *dial(const char *conninfo)
{
    PGconn *c = PQconnectdb(conninfo);
    if (PQstatus(c) != CONNECTION_OK)
        fail("connect", c);
    if (PQgssEncInUse(c) != (strstr(conninfo, "gssencmode=require") != NULL)) {
        fprintf(stderr, "GSS encryption is not as wanted\n");
        exit(1);
    }
    return c;
}

static void query(PGconn *c, const char *text, ExecStatusType want)
{
    PGresult *r = PQexec(c, text);
    if (PQresultStatus(r) != want)
        fail(text, c);
    PQclear(r);
}

static double processor(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void work(PGconn *c, const char *what, int count, const char *conninfo)
{
    long total = 0;
    char text[200];
    if (!strcmp(what, "connect")) {
        for (int i = 0; i < count; i++) {
            PGconn *d = dial(conninfo);
            query(d, "SELECT 1", PGRES_TUPLES_OK);
            PQfinish(d);
        }
        return;
    }
    if (!strcmp(what, "result")) {
        snprintf(text, sizeof text, "SELECT repeat('x', 1000) FROM generate_series(1, %d)", count);
        PQsendQuery(c, text);
        PQsetSingleRowMode(c);
        for (PGresult *r; (r = PQgetResult(c)); PQclear(r))
            if (PQresultStatus(r) == PGRES_SINGLE_TUPLE)
                total += PQgetlength(r, 0, 0);
    } else if (!strcmp(what, "copyout")) {
        char *row;
        snprintf(text, sizeof text, "COPY (SELECT repeat('x', 1000) FROM generate_series(1, %d)) TO STDOUT", count);
        query(c, text, PGRES_COPY_OUT);
        for (int n; (n = PQgetCopyData(c, &row, 0)) > 0; PQfreemem(row))
            total += n - 1;
        while (PQgetResult(c))
            ;
    } else {
        static char chunk[65 * 1001];
        memset(chunk, 'x', sizeof chunk);
        for (int i = 0; i < 65; i++)
            chunk[i * 1001 + 1000] = '\n';
        query(c, "COPY t FROM STDIN", PGRES_COPY_IN);
        for (int left = count; left > 0; left -= 65) {
            int rows = left < 65 ? left : 65;
            if (PQputCopyData(c, chunk, rows * 1001) != 1)
                fail("copy", c);
            total += rows * 1000L;
        }
        if (PQputCopyEnd(c, NULL) != 1)
            fail("copy", c);
        for (PGresult *r; (r = PQgetResult(c)); PQclear(r))
            if (PQresultStatus(r) != PGRES_COMMAND_OK)
                fail("copy", c);
    }
    if (total != count * 1000L) {
        fprintf(stderr, "%ld bytes\n", total);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    struct timespec a, b;
    if (argc != 4)
        return 2;
    int count = atoi(argv[2]);
    PGconn *c = dial(argv[3]);
    query(c, "CREATE TEMP TABLE t (line text)", PGRES_COMMAND_OK);
    work(c, argv[1], count / 10, argv[3]);
    double before = processor();
    clock_gettime(CLOCK_MONOTONIC, &a);
    work(c, argv[1], count, argv[3]);
    clock_gettime(CLOCK_MONOTONIC, &b);
    double used = processor() - before;
    query(c, "DROP TABLE t", PGRES_COMMAND_OK);
    PQfinish(c);
    printf("%.6f %.6f\n", b.tv_sec - a.tv_sec + (b.tv_nsec - a.tv_nsec) / 1e9, used);
    return 0;
}
