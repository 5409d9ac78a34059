(* SPDX-License-Identifier: BSD-2-Clause *)
(* An RPC server on ocamlnet: server tcp|udp PROGRAM *)

let () =
  let number n = Netnumber.uint4_of_int n in
  let program =
    Rpc_program.create
      (number (int_of_string Sys.argv.(2)))
      (number 1)
      (Netxdr.validate_xdr_type_system [])
      [ ("null", (number 0, Netxdr.X_void, Netxdr.X_void)) ]
  in
  let protocol = if Sys.argv.(1) = "tcp" then Rpc.Tcp else Rpc.Udp in
  let events = Unixqueue.standard_event_system () in
  let config = Rpc_server.default_socket_config in
  let server =
    Rpc_server.create2 (`Socket (protocol, Rpc_server.Portmapped, config)) events
  in
  let null = Rpc_server.Sync
      { Rpc_server.sync_name = "null"; sync_proc = (fun _ _ -> Netxdr.XV_void) }
  in
  Rpc_server.bind program [ null ] server;
  let group = Unixqueue.new_group events in
  Unixqueue.add_resource events group (Unixqueue.Wait_in Unix.stdin, -1.0);
  Unixqueue.add_handler events group (fun _ _ -> function
    | Unixqueue.Input_arrived (g, _) when g = group -> raise End_of_file
    | _ -> raise Equeue.Reject);
  print_endline "ready";
  (try Unixqueue.run events with End_of_file -> ());
  (* Rpc_server.unbind does not wait for the reply *)
  let mapper = Rpc_portmapper.create_local () in
  let prog = number (int_of_string Sys.argv.(2)) in
  exit (if Rpc_portmapper.unset mapper prog (number 1) protocol 0 then 0 else 1)
