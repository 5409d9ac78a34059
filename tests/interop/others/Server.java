// SPDX-License-Identifier: BSD-2-Clause
// An RPC server on remotetea: java Server tcp|udp PROGRAM

import org.acplt.oncrpc.OncRpcException;
import org.acplt.oncrpc.XdrVoid;
import org.acplt.oncrpc.server.OncRpcCallInformation;
import org.acplt.oncrpc.server.OncRpcDispatchable;
import org.acplt.oncrpc.server.OncRpcServerTransport;
import org.acplt.oncrpc.server.OncRpcServerTransportRegistrationInfo;
import org.acplt.oncrpc.server.OncRpcTcpServerTransport;
import org.acplt.oncrpc.server.OncRpcUdpServerTransport;

public class Server implements OncRpcDispatchable {
    public void dispatchOncRpcCall(OncRpcCallInformation call, int program,
            int version, int procedure) throws OncRpcException,
            java.io.IOException {
        call.retrieveCall(XdrVoid.XDR_VOID);
        call.reply(XdrVoid.XDR_VOID);
    }

    public static void main(String[] args) throws Exception {
        OncRpcServerTransportRegistrationInfo[] info = {
            new OncRpcServerTransportRegistrationInfo(
                Integer.parseInt(args[1]), 1)
        };
        OncRpcServerTransport transport = args[0].equals("tcp")
            ? new OncRpcTcpServerTransport(new Server(), 0, info, 8192)
            : new OncRpcUdpServerTransport(new Server(), 0, info, 8192);

        transport.register();
        transport.listen();
        System.out.println("ready");
        while (System.in.read() != -1) {
        }
        transport.unregister();
        transport.close();
        System.exit(0);
    }
}
