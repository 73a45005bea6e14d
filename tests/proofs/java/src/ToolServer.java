import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.utils.internals.Exit;

/**
 * Runs the main methods of Kafka's tools one after the other, as often as it is asked: a JVM's start costs more
 * than most of them.
 *
 * A line of JSON in: {"main": class, "arguments": [...], "input": text}. A line of JSON out: {"code": exit
 * code, "out": text, "err": text}. Ends with its input.
 */
public final class ToolServer {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long HOOK_MS_MAX = 10_000;

    /** Unwinds a tool that has asked for the end of the process. */
    private static final class Ended extends RuntimeException {
        Ended() {
            super(null, null, false, false);
        }
    }

    /** One tool's run: what it prints, how it ends, and what it wants to be done then. */
    private static final class Call {
        final List<Runnable> hooks = new ArrayList<>();
        private final StringBuilder out = new StringBuilder();
        private final StringBuilder err = new StringBuilder();
        private ByteArrayOutputStream outBytes;
        private ByteArrayOutputStream errBytes;
        private Integer code;

        void listen() {
            outBytes = new ByteArrayOutputStream();
            errBytes = new ByteArrayOutputStream();
            System.setOut(new PrintStream(outBytes, true));
            System.setErr(new PrintStream(errBytes, true));
        }

        /**
         * The first code counts, and what was printed until then: a tool that catches everything catches the end
         * too, complains of it, and asks again.
         */
        synchronized void end(int exitCode) {
            if (code == null) {
                code = exitCode;
                keep();
            }
        }

        /** As when a process ends: what the tool does last prints too. */
        ObjectNode answer() throws InterruptedException {
            listen();
            for (Runnable hook : hooks) {
                Thread thread = new Thread(hook);
                thread.setDaemon(true);
                thread.start();
                thread.join(HOOK_MS_MAX);
            }
            keep();
            return JSON.createObjectNode().put("code", code).put("out", out.toString()).put("err", err.toString());
        }

        private void keep() {
            System.out.flush();
            System.err.flush();
            out.append(outBytes);
            err.append(errBytes);
        }
    }

    private static Call call;

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = System.out;
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in));
        Exit.setExitProcedure((code, message) -> end(code));
        Exit.setHaltProcedure((code, message) -> end(code));
        Exit.setShutdownHookAdder((name, hook) -> call.hooks.add(hook));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            answers.println(JSON.writeValueAsString(run(JSON.readTree(line))));
            answers.flush();
        }
        System.exit(0);
    }

    private static void end(int code) {
        call.end(code);
        throw new Ended();
    }

    private static ObjectNode run(JsonNode request) throws Exception {
        call = new Call();
        System.setIn(new ByteArrayInputStream(request.path("input").asText("").getBytes()));
        call.listen();
        String[] arguments = JSON.treeToValue(request.get("arguments"), String[].class);
        try {
            Method main = Class.forName(request.get("main").asText()).getMethod("main", String[].class);
            main.invoke(null, (Object) arguments);
            call.end(0);
        } catch (InvocationTargetException failed) {
            if (!(failed.getCause() instanceof Ended)) {
                failed.getCause().printStackTrace();
                call.end(1);
            }
        }
        return call.answer();
    }
}
